"""Plugins in the box: they come through the same door, with the same keys, as a stranger's."""
