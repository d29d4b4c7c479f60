"""Batch jobs: long operations that are tracked, stopped, resumed and told about, row by row."""
