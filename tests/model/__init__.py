"""Tests of the pure model: tables and hypothesis."""
