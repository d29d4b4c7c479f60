"""What only trio can show, run by pytest-trio."""
