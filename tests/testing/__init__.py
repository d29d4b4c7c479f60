"""Tests of what conveyor lends to tests."""
