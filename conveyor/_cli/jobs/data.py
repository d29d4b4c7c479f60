"""The data of jobs, as a person types it."""

from __future__ import annotations

__all__ = ["parse_data"]


def parse_data(data: str) -> object:
    """Return what ``--data`` says.

    Raises:
        ConfigurationError: it is no JSON.
    """
    from conveyor.codec import decode_json
    from conveyor.errors import ConfigurationError

    try:
        return decode_json(data.encode("utf-8"))
    except ValueError as exc:
        raise ConfigurationError(f'--data must be JSON, such as \'{{"to": "ada@example.com"}}\': {exc}') from exc
