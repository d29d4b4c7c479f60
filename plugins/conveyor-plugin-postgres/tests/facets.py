"""The facets of a store that a store may lack; this one has them all."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["needed"]

Facet = TypeVar("Facet")


def needed(facet: Facet | None) -> Facet:
    """Return a facet, which must be there."""
    assert facet is not None
    return facet
