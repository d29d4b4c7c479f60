"""Tests of what goes into payloads, and comes out of them."""
