"""Stores with one planted bug each, for testing the conformance kit itself."""
