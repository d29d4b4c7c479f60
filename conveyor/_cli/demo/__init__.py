"""`conveyor demo`: two worker processes, one SQLite file, one kill, and a proof that nothing was lost."""
