"""Batch jobs in parts: the run that divides one and leads, and the runs that work on a part each."""
