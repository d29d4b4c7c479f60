"""Maintenance passes: plain coroutines that a loop calls, and a test awaits once."""
