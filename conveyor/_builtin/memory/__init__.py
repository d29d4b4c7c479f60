"""The memory store: heaps and dicts in one process; what it keeps ends with the process."""
