"""The arrays of PostgreSQL's own types, which asyncpg else asks each new connection about.

A connection would ask when it first prepares a statement that has such arrays, so twice or three times, by a query that
costs the server more than the statement itself. Their numbers are the same in every version: `pg_type.dat` gives them.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["know_arrays"]

# Of each element: its name, its number and that of its arrays. text[] is known to asyncpg.
_ELEMENTS: Final = (
    ("bool", 16, 1000),
    ("bytea", 17, 1001),
    ("int4", 23, 1007),
    ("int8", 20, 1016),
    ("timestamptz", 1184, 1185),
    ("interval", 1186, 1187),
)
# As asyncpg's own query tells of a type.
_ARRAYS: Final = tuple(
    {
        "oid": array,
        "ns": "pg_catalog",
        "name": f"_{name}",
        "kind": b"b",
        "basetype": None,
        "elemtype": element,
        "elemdelim": ",",
        "range_subtype": None,
        "attrtypoids": None,
        "attrnames": None,
    }
    for name, element, array in _ELEMENTS
)


async def know_arrays(connection: Any) -> None:
    """Tell a new connection of the pool what it would ask the server."""
    connection._protocol.get_settings().register_data_types(_ARRAYS)  # noqa: SLF001 - asyncpg has no other door
