"""Where local files are, and for how long what was left behind is."""

from __future__ import annotations

from datetime import timedelta

from attrs import field, frozen

from conveyor.errors import ConfigurationError

__all__ = ["LocalFilesOptions"]


def _is_positive(_: object, attribute: object, value: timedelta) -> None:  # noqa: ARG001 - called by attrs
    if value <= timedelta(0):
        raise ConfigurationError(f"abandoned_after must be longer than zero, got {value!r}")


@frozen
class LocalFilesOptions:
    """Where the files are.

    Attributes:
        directory: made when the first file is written. None: ``conveyor_files`` beside the store's file; where the
            store has none, in the working directory; and where the store keeps nothing for good, a temporary one.
        abandoned_after: so long after its last byte, an upload that never became whole is taken for given up.
    """

    directory: str | None = None
    abandoned_after: timedelta = field(default=timedelta(days=1), validator=_is_positive)
