"""Schedules: when jobs are added again and again, what a tick does, and how that is said in words."""
