"""What a worker and a handler's process tell each other, as JSON in frames: a length of four bytes, then the text."""

from __future__ import annotations

from typing import Final

import msgspec

from conveyor.model.remote_runs import ChildrenAnswer, ProcessSetup, RunOrder, RunReport

__all__ = ["HEADER_SIZE", "body_size", "frame", "read_answer", "read_order", "read_report", "read_setup"]

HEADER_SIZE: Final = 4

_encode: Final = msgspec.json.Encoder().encode
_read_setup: Final = msgspec.json.Decoder(ProcessSetup).decode
_read_order: Final = msgspec.json.Decoder(RunOrder).decode
_read_report: Final = msgspec.json.Decoder(RunReport).decode
_read_answer: Final = msgspec.json.Decoder(ChildrenAnswer).decode


def frame(value: ProcessSetup | RunOrder | RunReport | ChildrenAnswer) -> bytes:
    """Return a value as one frame."""
    body = _encode(value)
    return len(body).to_bytes(HEADER_SIZE, "big") + body


def body_size(header: bytes) -> int:
    """Return how many bytes follow a header."""
    return int.from_bytes(header, "big")


def read_setup(body: bytes) -> ProcessSetup:
    """Return the setup that `frame` wrote."""
    return _read_setup(body)


def read_order(body: bytes) -> RunOrder:
    """Return the order that `frame` wrote."""
    return _read_order(body)


def read_report(body: bytes) -> RunReport:
    """Return the report that `frame` wrote."""
    return _read_report(body)


def read_answer(body: bytes) -> ChildrenAnswer:
    """Return the answer that `frame` wrote."""
    return _read_answer(body)
