"""Failed jobs grouped by where and how they failed: fingerprints of errors, and what is told of a group."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model import filter_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import ErrorInfo

__all__ = [
    "ErrorGroup",
    "ErrorGroupFilter",
    "ErrorGroupPage",
    "cursor_after",
    "fingerprint",
    "fingerprinted",
    "parse_cursor",
]

DIGITS: Final = 16
FRAMES: Final = 3
LONGEST_MESSAGE: Final = 500

_QUOTED: Final = re.compile(r"""(?<!\w)(["'`])[^"'`\n]*\1(?!\w)""")
# It begins where a word does, so that a long one without a digit is looked through once.
_WORD_WITH_DIGIT: Final = re.compile(r"(?<![\w.:+-])[\w.:+-]*\d[\w.:+-]*")
# The lines of an exception group begin with a margin.
_FRAME: Final = re.compile(r'^[ |]*File "([^"\n]*)", line \d+, in (.+)$', re.MULTILINE)
_LAST_RAISED: Final = "Traceback (most recent call last):"
# Frames of these belong to Python, to what was installed, or to conveyor, which runs the handler.
_OTHERS: Final = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python\d|<frozen|[/\\]conveyor[/\\]_")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@frozen
class ErrorGroup:
    """Failed jobs of one queue and name that failed alike, as they are now: a job that is rerun leaves it.

    Attributes:
        id: what a filter's `error_group` takes: the fingerprint of their errors.
        error_type: the exception's type.
        message: the message of the latest.
        count: how many there are.
        first_at: when the first of them failed.
        last_at: when the latest of them failed.
        example_id: the latest of them; of several at the same time, the one added last.
    """

    id: str
    queue_name: str
    name: str
    error_type: str
    message: str
    count: int
    first_at: datetime
    last_at: datetime
    example_id: str


@frozen
class ErrorGroupFilter:
    """Which groups are meant: every field that is not empty must match.

    Raises:
        ConfigurationError: a field is no tuple of strings.
    """

    queue_names: tuple[str, ...] = field(default=(), converter=filter_fields.queue_names)
    names: tuple[str, ...] = field(default=(), converter=filter_fields.names)
    ids: tuple[str, ...] = field(default=(), converter=filter_fields.ids)


@frozen
class ErrorGroupPage:
    """Some groups, those that failed last first; give `next_cursor` to get those after them."""

    groups: Sequence[ErrorGroup]
    next_cursor: str | None


def fingerprinted(error: ErrorInfo, queue_name: str, name: str) -> ErrorInfo:
    """Return the error by which a job of this queue and name fails, with its fingerprint."""
    return evolve(error, fingerprint=fingerprint(error, queue_name, name))


def fingerprint(error: ErrorInfo, queue_name: str, name: str) -> str:
    """Return what the errors have in common of jobs that failed alike: 16 hexadecimal digits.

    It is made of the queue, the job's name, the exception's type, the last three frames of the user's own code, and
    the message. Line numbers and folders are left out of the frames, so that an edit elsewhere in a file, or a deploy
    to another folder, makes no new group; in the message, quoted words and words with digits are all alike.
    The hash is one that databases know, too: see `conveyor.model.flows.child_failed`.

    >>> from conveyor.model.job import ErrorInfo
    >>> one, two = ErrorInfo("KeyError", "no order 17"), ErrorInfo("KeyError", "no order 4711")
    >>> fingerprint(one, "shop", "pack") == fingerprint(two, "shop", "pack")
    True
    """
    parts = (queue_name, name, error.type, *_own_frames(error.traceback), _normalized(error.message))
    # The separator is in none of them: texts of stores have no such character.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:DIGITS]


def _own_frames(traceback: str) -> list[str]:
    # What was raised last stands at the end; above it is what it was raised from.
    last = traceback.rpartition(_LAST_RAISED)[2]
    own = [f"{_file_name(path)}:{name}" for path, name in _FRAME.findall(last) if not _OTHERS.search(path)]
    return own[-FRAMES:]


def _file_name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


def _normalized(message: str) -> str:
    words = _QUOTED.sub("'…'", message)
    return _WORD_WITH_DIGIT.sub("#", words)[:LONGEST_MESSAGE]


def cursor_after(group: ErrorGroup) -> str:
    """Return the cursor of the groups that come after this one."""
    return f"{(group.last_at - _EPOCH) // _MICROSECOND}-{group.id}"


def parse_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the `last_at` and the id of the group before.

    Raises:
        ConfigurationError: it is no cursor of a page of groups.
    """
    micros, _, group_id = cursor.partition("-")
    try:
        return _EPOCH + int(micros) * _MICROSECOND, group_id
    except (ValueError, OverflowError) as exc:
        raise ConfigurationError(f"cursor={cursor!r} is not what a page of error groups ended with") from exc
