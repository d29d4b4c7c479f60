"""``conveyor plugins``: what is installed, what is wrong with it, and plugins of one's own."""
