"""Rows of batch jobs: read as a stream, checked, processed in chunks; the bad ones found and kept apart."""
