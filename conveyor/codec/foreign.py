"""Types that msgspec does not know and payloads may have all the same: paths, and models of pydantic."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any

__all__ = ["is_foreign", "read_foreign", "write_foreign"]


def is_foreign(type_: Any) -> bool:
    """Whether values of this type are written and read here."""
    return isinstance(type_, type) and (issubclass(type_, PurePath) or _is_model(type_))


def write_foreign(value: Any) -> Any:
    """Return what JSON can say of a value that msgspec does not know.

    Raises:
        TypeError: it is of no type known here.
    """
    if isinstance(value, PurePath):
        return str(value)
    if _is_model(type(value)):
        # What the model can read again: no computed fields, and its aliases.
        return value.model_dump(mode="json", by_alias=True, round_trip=True)
    raise TypeError(f"a value of type {type(value).__qualname__} has no JSON form")


def read_foreign(type_: Any, value: Any) -> Any:
    """Return the value of a foreign type that this JSON stands for.

    Raises:
        ValueError: it does not fit; the message ends with where.
    """
    if not _is_model(type_):
        if not isinstance(value, str):
            raise ValueError(f"Expected a path as `str`, got `{type(value).__name__}`")
        return type_(value)
    from pydantic import ValidationError  # there, since somebody made a model of it

    try:
        return type_.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise ValueError(f"{first['msg']} - at `${where}`") from exc


def _is_model(type_: Any) -> bool:
    # A program without pydantic has no models: it is not imported for looking. Those of its first version are none.
    model: Any = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return hasattr(model, "model_validate") and isinstance(type_, type) and issubclass(type_, model)
