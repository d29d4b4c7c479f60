"""How arguments and results become bytes and come back: values to JSON, and JSON to what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.payload import PayloadPlace

__all__ = ["PayloadCodec", "ValueCodec"]

T = TypeVar("T")


class ValueCodec(Protocol):
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


class PayloadCodec(Protocol):
    """Changes how arguments and results are kept, between their JSON and the store: encrypted, for example.

    Producers seal what they add, workers open it, seal the result, and whoever asks for the result opens that. So all
    programs of a store need codecs that agree. It works in memory, on the event loop: it must not wait.
    """

    def seal(self, payload: bytes, place: PayloadPlace, /) -> bytes:
        """Return what is to be kept: JSON as well, which stores search and people look at.

        The same payload of the same place gives the same bytes: by them an add that is repeated is known.
        """
        ...

    def open(self, kept: bytes, place: PayloadPlace, /) -> bytes:
        """Return the payload that was sealed for this place.

        Raises:
            PayloadError: it was sealed for another place, was changed since, or cannot be opened here.
        """
        ...
