"""Batch jobs through an app: created, processed, stopped, resumed, lost."""
