"""A deterministic simulation: the real runtime over the memory store, on a seeded scheduler, with every fault."""
