"""Text from anywhere made fit to be stored, since user code may hand over what is no valid text at all; its order."""

from __future__ import annotations

from typing import Final

__all__ = ["HIGHEST_CHARACTER", "clean_text"]

# What begins like an id and goes on with this is above all others that begin like it.
HIGHEST_CHARACTER: Final = "\U0010ffff"


def clean_text(value: object) -> str:
    r"""Return the value as text that every store can write; lone surrogates and NUL are shown escaped.

    It raises nothing, whatever the value's ``__str__`` does.

    >>> clean_text("caf\udce9")
    'caf\\udce9'
    >>> clean_text("a\0b")
    'a\\x00b'
    """
    try:
        text = str(value)
    except Exception as exc:  # noqa: BLE001 - a broken __str__ must not hide what it was to tell
        text = f"<{type(value).__name__} whose text cannot be had: {type(exc).__name__}>"
    # PostgreSQL keeps a NUL neither as text nor, escaped, in JSON that it reads.
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
