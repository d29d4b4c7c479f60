"""Whole data: the arguments of a handler that takes a job's JSON as it is, whatever the job is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor.codec.arguments import ArgumentsCodec
from conveyor.codec.json_values import decode_json, encode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WholeDataCodec"]


class WholeDataCodec(ArgumentsCodec):
    """Gives a function one argument: the data of the job."""

    def __init__(self, name: str) -> None:
        """Prepare for jobs of any shape; `name` is what messages call them."""
        self._name = name

    def encode(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """Return the one argument, or what is given by keyword, as JSON."""
        return encode_json(args[0] if args else dict(kwargs), "arguments", self._name)

    def check(self, payload: bytes, version: int) -> None:
        """Accept everything."""

    def decode(self, payload: bytes, version: int) -> tuple[tuple[Any, ...], dict[str, Any]]:  # noqa: ARG002
        """Return the data as the one argument."""
        return (decode_json(payload),), {}
