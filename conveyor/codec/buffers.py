"""Deduplication and bytes: what a job in a buffer will be added with."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from conveyor.model.deduplication import Deduplication

__all__ = ["decode_deduplication", "encode_deduplication"]

_encode: Final = msgspec.json.Encoder().encode


@lru_cache(maxsize=1)
def _decoder() -> msgspec.json.Decoder[Deduplication]:
    return msgspec.json.Decoder(Deduplication)


def encode_deduplication(asked: Deduplication | None) -> bytes | None:
    """Return what an add asks as JSON; None for nothing."""
    return None if asked is None else _encode(asked)


def decode_deduplication(data: bytes | None) -> Deduplication | None:
    """Return what `encode_deduplication` wrote."""
    return None if data is None else _decoder().decode(data)
