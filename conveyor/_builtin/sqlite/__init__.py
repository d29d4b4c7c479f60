"""The SQLite store: the standard library's sqlite3, one writer thread with group commit, readers apart."""
