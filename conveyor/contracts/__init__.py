"""Promises: what plugins keep. Protocols whose docstrings are specifications, and no behaviour."""
