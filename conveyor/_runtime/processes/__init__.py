"""Processes: where handlers run that keep a processor busy, each job in a process that can be ended."""
