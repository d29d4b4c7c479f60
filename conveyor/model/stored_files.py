"""What is known of a file that a file storage keeps."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from attrs import frozen

from conveyor.errors import BatchJobError

__all__ = ["StoredFile", "check_file_name", "check_media_type"]

LONGEST_NAME: Final = 255
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:;[ -~]{1,127})?", re.ASCII)


@frozen
class StoredFile:
    """A file that is whole.

    Attributes:
        key: where the storage has it; the storage makes it.
        name: what people call it, such as "products.csv"; no path.
        size: in bytes.
        sha256: of its bytes, in hexadecimal digits.
        media_type: such as "text/csv".
        created_at: when it was begun.
        expires_at: from when on it is not there any more; None: it stays until it is deleted.
    """

    key: str
    name: str
    size: int
    sha256: str
    media_type: str
    created_at: datetime
    expires_at: datetime | None = None


def check_file_name(name: str) -> str:
    r"""Return what people call a file: the last part of a path, as browsers send it, with ``/`` or ``\``.

    Raises:
        BatchJobError: nothing is left, it is too long, or has control characters, which would end up in headers.
    """
    last = re.split(r"[/\\]", name)[-1].strip()
    if last in ("", ".", "..") or len(last) > LONGEST_NAME or _CONTROL.search(last):
        raise BatchJobError(
            f"{name[:LONGEST_NAME]!r} is no name of a file: it has 1 to {LONGEST_NAME} characters, all of them visible"
        )
    return last


def check_media_type(media_type: str) -> str:
    """Return a media type.

    Raises:
        BatchJobError: it is none.
    """
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise BatchJobError(f'{media_type[:LONGEST_NAME]!r} is no media type; write for example "text/csv"')
    return media_type
