"""What is raised by runs of batch jobs: what it is, and in which words it is kept."""

from __future__ import annotations

from conveyor.model.text import clean_text

__all__ = ["is_only", "said"]


def is_only(error: Exception, kind: type[Exception]) -> bool:
    """Whether nothing but this was raised, by one task or several."""
    if isinstance(error, ExceptionGroup):
        return error.split(kind)[1] is None
    return isinstance(error, kind)


def said(error: Exception) -> str:
    """Return an error as it is kept with a batch job."""
    return clean_text(f"{type(error).__qualname__}: {clean_text(error)}")
