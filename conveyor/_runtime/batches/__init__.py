"""Runs of batch jobs."""
