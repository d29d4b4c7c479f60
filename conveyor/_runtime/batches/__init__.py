"""Batch jobs at work: the handlers of their jobs, and what a run lends to its strategy."""
