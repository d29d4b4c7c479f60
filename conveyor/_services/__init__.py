"""Verbs: each does one thing over the open app and returns."""
