"""PayloadCodec: how arguments and results become bytes and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PayloadCodec"]

T = TypeVar("T")


class PayloadCodec(Protocol):
    """Turns values into JSON and back. Both directions are checked against types, never guessed."""

    def encode(self, value: object, /) -> bytes:
        """Return the value as JSON.

        Raises:
            PayloadError: it holds something that has no JSON form.
        """
        ...

    def decoder(self, type_: type[T] | Any, /) -> Callable[[bytes], T]:
        """Prepare to decode values of one type; made once per handler, called once per job.

        What it returns raises PayloadError, with the path of the field, when the bytes do not fit.
        """
        ...
