"""``conveyor jobs``: what is found, shown, changed and exported."""
