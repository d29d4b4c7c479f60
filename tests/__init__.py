"""Conveyor's own tests; see README.md for which folder takes which."""
