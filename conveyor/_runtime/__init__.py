"""Loops: what owns tasks, timers and signals."""
