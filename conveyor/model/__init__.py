"""Values: what conveyor speaks of, with no I/O, no clock and no randomness."""
