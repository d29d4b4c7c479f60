"""Wheels and sdists of every distribution of this workspace, built, read and used alone."""
