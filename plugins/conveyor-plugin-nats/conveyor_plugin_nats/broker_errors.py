"""What the errors of nats-py mean to conveyor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import nats.errors
import nats.js.errors

from conveyor.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NO_MESSAGE", "broker_errors", "is_wrong_last_sequence", "store_error"]

# Error codes of JetStream's API; the second is said while the write in the way is not yet kept by most servers.
_WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
NO_MESSAGE: Final = 10037
_PASSES: Final = {
    10002: "the limits of the account are reached",
    10004: "the servers of the cluster did not all answer",
    10008: "the cluster has no leader for JetStream now",
    10009: "the cluster has no leader for JetStream now",
    10023: "the server is short of memory or disk",
    10028: "the server, or the account, is out of memory for JetStream",
    10047: "the server, or the account, is out of disk for JetStream",
    10077: "the stream could not keep it: is it full?",
    10118: "the stream is offline",
    10119: "the consumer is offline",
    10158: "the same message is being added just now",
    10163: "another write of the same job is under way",
    10167: "too many writes are under way",
}

_NOBODY: Final = (
    nats.errors.NoRespondersError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
)

_LASTING: Final = (
    nats.errors.AuthorizationError,
    nats.errors.InvalidUserCredentialsError,
    nats.errors.SecureConnFailedError,
    nats.errors.SecureConnRequiredError,
    nats.errors.SecureConnWantedError,
    nats.errors.BadHeaderError,
    nats.errors.BadSubjectError,
    nats.errors.MaxPayloadError,
    nats.errors.ProtocolError,
)


@contextmanager
def broker_errors(shown: str) -> Iterator[None]:
    """Turn what nats-py raises into a StoreError, or a StoreUnavailableError where it passes by itself."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as exc:
        raise store_error(exc, shown) from exc


def is_wrong_last_sequence(error: nats.js.errors.APIError) -> bool:
    """Return whether the server refused a write because something was written that its writer had not seen."""
    return error.err_code in _WRONG_LAST_SEQUENCE


def store_error(error: BaseException, shown: str) -> StoreError:
    """Return conveyor's error for one of the client's; raise it with the client's as its cause."""
    text = f"NATS at {shown}: {str(error).removeprefix('nats: ') or type(error).__name__}"
    if isinstance(error, nats.js.errors.APIError) and error.err_code is not None:
        passing = _PASSES.get(error.err_code)
        return StoreError(text) if passing is None else StoreUnavailableError(f"{text}; {passing}, try again")
    if isinstance(error, _LASTING):
        return StoreError(text)
    is_nobody = isinstance(error, _NOBODY)
    advice = "is JetStream on, and is the stream still there?" if is_nobody else "is the server up, and in reach?"
    return StoreUnavailableError(f"{text}; {advice}")
