"""Bytes to lines, each with its length in bytes: so a place in the text is a place in the file."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final, Protocol

from conveyor.errors import BadFileError

__all__ = ["Splitter", "make_splitter", "name_encoding", "strip_mark"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# So many bytes tell whether there is a byte order mark, or another kind of file.
LONGEST_MARK: Final = 4
_ZIP: Final = b"PK\x03\x04"
# Lines are found before they are decoded: that is right where these stand for themselves.
_PLAIN: Final = '\r\n",;\tA'
# What people write for what is meant.
_SAME: Final = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}


class Splitter(Protocol):
    """Cuts blocks of bytes into lines, whatever the blocks' borders."""

    def feed(self, block: bytes) -> Sequence[bytes]:
        """Return the lines that are whole now, with their ends."""
        ...

    def finish(self) -> Sequence[bytes]:
        """Return the last line, where it has no end."""
        ...

    @property
    def waiting(self) -> int:
        """How many bytes wait for the end of their line."""
        ...


def name_encoding(given: str) -> str:
    """Return the encoding of this name, as readers use it.

    Raises:
        BadFileError: Python knows none of this name, or lines cannot be found in it.
    """
    try:
        name = codecs.lookup(given).name
        name = _SAME.get(name, name)
        is_plain = _PLAIN.encode(name) == _PLAIN.encode("ascii")
    except (LookupError, UnicodeError, TypeError) as exc:
        raise BadFileError("unknown_encoding", f"there is no text encoding {given!r}") from exc
    if not is_plain and name not in ("utf-16-le", "utf-16-be"):
        raise BadFileError("unknown_encoding", f"tables in {given!r} are not read: save the file as UTF-8")
    return name


def strip_mark(head: bytes, encoding: str | None) -> tuple[int, str]:
    """Return how long the byte order mark of a file is, and its encoding: that of the mark, else the given, else UTF-8.

    Args:
        head: the first four bytes, or all where there are fewer.
        encoding: as `name_encoding` returned it.

    Raises:
        BadFileError: it is a spreadsheet, or another archive.
    """
    if head.startswith(_ZIP):
        raise BadFileError("not_text", "this is a spreadsheet or an archive: save it as CSV")
    for mark, name in _MARKS:
        if head.startswith(mark):
            return len(mark), name
    return 0, encoding or "utf-8"


def make_splitter(encoding: str) -> Splitter:
    """Return what cuts files of an encoding into lines."""
    if encoding in ("utf-16-le", "utf-16-be"):
        return _WideSplitter("\n".encode(encoding))
    return _PlainSplitter()


class _PlainSplitter:
    """Lines end with LF, CR LF or CR."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.waiting = 0

    def feed(self, block: bytes) -> Sequence[bytes]:
        if self._parts and self._parts[-1].endswith(b"\r"):
            # What follows decides whether the line ended there.
            block, self._parts = b"".join((*self._parts, block)), []
            self.waiting = 0
        lines = block.splitlines(keepends=True)
        if lines and self._parts and lines[0].endswith((b"\n", b"\r")):
            lines[0], self._parts = b"".join((*self._parts, lines[0])), []
            self.waiting = 0
        if lines and not lines[-1].endswith(b"\n"):
            last = lines.pop()
            self._parts.append(last)
            self.waiting += len(last)
        return lines

    def finish(self) -> Sequence[bytes]:
        rest, self._parts, self.waiting = b"".join(self._parts), [], 0
        return rest.splitlines(keepends=True)


class _WideSplitter:
    """Lines end with LF or CR LF, and each character has two bytes or four."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._rest = b""

    @property
    def waiting(self) -> int:
        return len(self._rest)

    def feed(self, block: bytes) -> Sequence[bytes]:
        data, lines, start = self._rest + block, [], 0
        at = data.find(self._end, max(0, len(self._rest) - 1))
        while at >= 0:
            if at % 2:
                at = data.find(self._end, at + 1)
                continue
            lines.append(data[start : at + 2])
            start = at + 2
            at = data.find(self._end, start)
        self._rest = data[start:]
        return lines

    def finish(self) -> Sequence[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
