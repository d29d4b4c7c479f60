"""Plugins: found, allowed, loaded and chosen, with broken and clashing strangers about."""
