"""Batch jobs: their strategies, and everything that is done with one in a single call."""
