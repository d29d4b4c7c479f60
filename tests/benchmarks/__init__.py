"""Benchmarks: conveyor through its public API beside the floor it stands on, in the same run."""
