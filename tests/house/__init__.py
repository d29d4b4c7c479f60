"""The house rules, kept by tests: sizes, names, documents, imports."""
