"""Which types payloads may have, and how each is read from JSON.

msgspec reads whatever it knows, by itself: that is the fast way, and the usual one. A type that it refuses, because
somewhere inside is a union of several classes, is read by cattrs, which asks msgspec for all that it does know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import fields_dict, has

from conveyor.codec.foreign import is_foreign, read_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TypeReader", "check_native", "is_native", "read_native"]

# What most parameters are; there is nothing to find out about these.
_PLAIN: Final = (str, int, float, bool, bytes, Any)


class TypeReader:
    """Prepares the types of one decoder for msgspec, and is its ``dec_hook``."""

    def __init__(self) -> None:
        """Start with no type."""
        self._readers: dict[Any, Callable[[Any], Any]] = {}

    def readable(self, hint: Any) -> Any:
        """Return what to tell msgspec for a type: itself, or a stand-in that `read` reads.

        Raises:
            TypeError: values of this type cannot be read from JSON; the message says what to do.
            NameError: a hint inside of it is not known at run time.
        """
        if any(hint is plain for plain in _PLAIN) or is_native(hint):
            return hint
        from conveyor.codec.unions import make_reader  # cattrs is slow to import, and rarely needed

        stand_in = _StandIn("StandIn", (), {})
        self._readers[stand_in] = make_reader(hint)
        return stand_in

    def read(self, type_: Any, value: Any) -> Any:
        """Read what msgspec does not know by itself.

        Raises:
            ValueError: it does not fit.
        """
        reader = self._readers.get(type_)
        return read_hooked(type_, value) if reader is None else reader(value)


class _StandIn(type):
    """The type of stand-ins: msgspec asks whether what was read is an instance, and it always is."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def is_native(hint: Any) -> bool:
    """Whether msgspec, with our hook, reads this type and all inside of it."""
    try:
        check_native(hint)
    except TypeError:
        return False
    return True


def check_native(hint: Any) -> None:
    """Check that msgspec, with our hook, reads this type and all inside of it.

    Raises:
        TypeError: it does not; the message says why.
        NameError: a hint inside of it is not known at run time.
    """
    import msgspec.inspect

    for node in _nodes(msgspec.inspect.type_info(hint)):
        if isinstance(node, msgspec.inspect.CustomType) and node.cls is not object and not is_foreign(node.cls):
            raise TypeError(f"a value of type {node.cls.__qualname__} has no JSON form")
        if isinstance(node, msgspec.inspect.DataclassType):
            check_class(node.cls)


def check_class(class_: type) -> None:
    """Check that nothing of a class would be lost on the way.

    Raises:
        TypeError: it is a class of attrs with a private field, which msgspec leaves out.
    """
    private = [name for name in fields_dict(class_) if name.startswith("_")] if has(class_) else []
    if private:
        raise TypeError(f"{class_.__qualname__} has the private field {private[0]!r}, which would not be sent")


def _nodes(root: Any) -> Iterator[Any]:
    """Yield a type of msgspec's and all types inside of it, each once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, msgspec.inspect.Type):
            yield node
        waiting.extend(_inside(node))


def _inside(node: Any) -> list[Any]:
    if isinstance(node, tuple):
        return list(node)
    if not isinstance(node, msgspec.inspect.Type | msgspec.inspect.Field):
        return []
    names = node.__struct_fields__
    return [value for name in names if isinstance(value := getattr(node, name), _HOLDERS)]


_HOLDERS: Final = (tuple, msgspec.Struct)


def read_native(type_: Any, value: Any) -> Any:
    """Read a type that `is_native` from what JSON gave."""
    return msgspec.convert(value, type_, str_keys=True, dec_hook=read_hooked)


def read_hooked(type_: Any, value: Any) -> Any:
    """Read what msgspec does not know and no stand-in stands for."""
    return value if type_ is object else read_foreign(type_, value)
