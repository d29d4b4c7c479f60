"""Unions of several classes, told apart by a field, and the types that hold them: read by cattrs."""

from __future__ import annotations

import types
from dataclasses import is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import attrs
import cattrs
import msgspec
from cattrs.cols import is_mapping, is_sequence, list_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn
from cattrs.gen.typeddicts import make_dict_structure_fn as make_typeddict_structure_fn

from conveyor.codec.type_forms import check_class, check_native, is_native, read_native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["make_reader"]

_ADVICE: Final = (
    "give each of its classes a field that tells them apart, such as `kind: Literal['card'] = 'card'`, "
    "or make them msgspec.Struct classes with tag=True"
)


def make_reader(hint: Any) -> Callable[[Any], Any]:
    """Return what reads a type that msgspec does not read by itself.

    The reader raises ValueError where a value does not fit; the message ends with where.

    Raises:
        TypeError: values of this type cannot be read from JSON.
    """
    try:
        read = _converter().get_structure_hook(hint)
    except cattrs.StructureHandlerNotFoundError as exc:
        raise TypeError(str(exc)) from exc

    def read_or_say_where(value: Any) -> Any:
        try:
            return read(value, hint)
        except Exception as exc:
            # The classes are the user's, and so is whatever their constructors raise.
            text, _, path = cattrs.transform_error(exc, format_exception=_reason)[0].rpartition(" @ ")
            raise ValueError(f"{text} - at `{path}`") from exc

    return read_or_say_where


def _reason(exc: BaseException, type_: type | None) -> str:
    if isinstance(exc, (ValueError, TypeError)):
        return str(exc)
    return cattrs.v.format_exception(exc, type_)


@lru_cache(maxsize=1)
def _converter() -> cattrs.Converter:
    """Return the converter; of two factories that could make a hook, cattrs asks the one registered last."""
    converter = cattrs.Converter()
    converter.register_structure_hook_factory(lambda hint: isinstance(hint, type), _refuse)
    converter.register_structure_hook_factory(is_sequence, _read_sequence)
    converter.register_structure_hook_factory(is_mapping, _read_mapping)
    converter.register_structure_hook_factory(is_typeddict, _read_typeddict)
    converter.register_structure_hook_factory(_is_class, _read_class)
    converter.register_structure_hook_factory(_is_union, _read_union)
    converter.register_structure_hook_factory(is_native, _find_read_native)
    return converter


def _find_read_native(_: Any, __: cattrs.Converter) -> Any:
    return _read_native


def _read_native(value: Any, type_: Any) -> Any:
    return read_native(type_, value)


def _refuse(type_: Any, _: cattrs.Converter) -> Any:
    check_native(type_)
    raise TypeError(f"a value of type {type_!r} has no JSON form")


def _read_sequence(type_: Any, converter: cattrs.Converter) -> Any:
    return _only(list, "array", list_structure_factory(type_, converter))


def _read_mapping(type_: Any, converter: cattrs.Converter) -> Any:
    return _only(dict, "object", mapping_structure_factory(type_, converter))


def _read_typeddict(type_: Any, converter: cattrs.Converter) -> Any:
    return _only(dict, "object", make_typeddict_structure_fn(type_, converter))


def _read_class(type_: Any, converter: cattrs.Converter) -> Any:
    check_class(type_)
    return _only(dict, "object", make_dict_structure_fn(type_, converter, _cattrs_include_init_false=True))


def _only(kind: type, word: str, read: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Read nothing but one kind of JSON: cattrs would take any iterable for an array."""

    def read_checked(value: Any, type_: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"Expected `{word}`, got `{type(value).__name__}`")  # noqa: TRY004 - of JSON, not of Python
        return read(value, type_)

    return read_checked


def _is_class(type_: Any) -> bool:
    class_ = get_origin(type_) or type_
    return isinstance(class_, type) and (attrs.has(class_) or is_dataclass(class_))


def _is_union(type_: Any) -> bool:
    return get_origin(type_) in (Union, types.UnionType)


def _read_union(union: Any, converter: cattrs.Converter) -> Any:
    members = [member for member in get_args(union) if member is not type(None)]
    has_none = len(members) < len(get_args(union))
    read = _read_only_member(members[0], converter) if len(members) == 1 else _read_tagged(union, members, converter)

    def read_or_none(value: Any, _: Any) -> Any:
        return None if value is None and has_none else read(value)

    return read_or_none


def _read_only_member(member: Any, converter: cattrs.Converter) -> Callable[[Any], Any]:
    read = converter.get_structure_hook(member)
    return lambda value: read(value, member)


def _read_tagged(union: Any, members: Sequence[Any], converter: cattrs.Converter) -> Callable[[Any], Any]:
    tag, classes = _find_tag(union, members)
    readers = {word: (converter.get_structure_hook(class_), class_) for word, class_ in classes.items()}
    known = ", ".join(repr(word) for word in readers)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"Expected `object`, got `{type(value).__name__}`")  # noqa: TRY004 - as above
        word = value.get(tag, msgspec.UNSET)
        if not isinstance(word, (str, int)) or word not in readers:
            got = "is missing" if word is msgspec.UNSET else f"is {word!r}"
            raise ValueError(f"`{tag}` {got}, and says which class is meant: one of {known}")
        reader, class_ = readers[word]
        return reader(value, class_)

    return read


def _find_tag(union: Any, members: Sequence[Any]) -> tuple[str, dict[Any, Any]]:
    """Return the field whose literals tell the members apart, and which literal means which."""
    if not all(isinstance(member, type) for member in members):
        raise TypeError(f"the members of {union} cannot be told apart in JSON; use one type, or a class for each")
    hints = [get_type_hints(member) for member in members]
    for name in hints[0]:
        words = [get_args(known.get(name)) if get_origin(known.get(name)) is Literal else () for known in hints]
        classes = {word: member for some, member in zip(words, members, strict=True) for word in some}
        if all(words) and len(classes) == sum(map(len, words)):
            return name, classes
    raise TypeError(f"the members of {union} cannot be told apart in JSON: {_ADVICE}")
