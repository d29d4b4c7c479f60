"""Conveyor's store in PostgreSQL."""
