"""Measurements: ``python -m benchmarks``, in the plugin's folder."""
