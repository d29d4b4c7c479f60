"""Programs as users write them, read by three type checkers; see ``__main__``."""
