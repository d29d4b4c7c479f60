"""Whole programs: real processes, real signals, real files."""
