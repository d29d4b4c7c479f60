"""Batch strategies: which of them processes the batch jobs of which type, and what it has of its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen

from conveyor.contracts.batch_job import AbstractBatchJobStrategy
from conveyor.errors import BatchJobError, ConfigurationError, did_you_mean
from conveyor.model.batches.values import Confirmation
from conveyor.model.checks import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.batch_job import BatchJobStrategy

__all__ = ["CREATE", "QUEUE", "BatchStrategies", "Strategy", "make_strategy"]

# The queue of the jobs that work for batch jobs, without the app's prefix.
QUEUE: Final = "batches"
# The name of the jobs there that create batch jobs, so no type is called so.
CREATE: Final = "create"

_MUST_HAVE: Final = ("process_job", "build_template")
_MAY_HAVE: Final = (
    "prepare_batch_job_for_processing",
    "validate_context",
    "identify",
    "stored_files",
    "pre_process_batch_job",
    "post_process",
    "should_retry_on_processing_error",
    "handle_processing_error",
    "before_processing",
    "after_processing",
    "on_failure",
    "on_cancel",
)


class _Nothing(AbstractBatchJobStrategy):
    """What a strategy does that leaves out all it may."""

    async def process_job(self, batch_job_id: str, /) -> None:
        """Never called: every strategy has its own."""
        raise NotImplementedError(batch_job_id)

    async def build_template(self) -> str:
        """Never called, likewise."""
        raise NotImplementedError


_NOTHING: Final = _Nothing()


@frozen(eq=False)
class Strategy:
    """A strategy, and what it says of itself, with what it leaves out filled in.

    Attributes:
        given: the strategy itself.
        hooks: its methods; those that it lacks do nothing.
        identifier, batch_type, confirmation, confirm_above, identifying, max_running, max_retries: see
            `AbstractBatchJobStrategy`.
    """

    given: BatchJobStrategy
    hooks: AbstractBatchJobStrategy
    identifier: str
    batch_type: str
    confirmation: Confirmation
    confirm_above: int | None
    identifying: tuple[str, ...]
    max_running: int | None
    max_retries: int


class _Hooks:
    """The methods of a strategy that need not have all of them, looked for once."""

    def __init__(self, given: object) -> None:
        for name in (*_MUST_HAVE, *_MAY_HAVE):
            hook = getattr(given, name, None)
            if hook is not None and not inspect.iscoroutinefunction(hook):
                raise ConfigurationError(f"{name} of batch strategy {given!r} must be an async method, got {hook!r}")
            setattr(self, name, getattr(_NOTHING, name) if hook is None else hook)


def make_strategy(given: BatchJobStrategy) -> Strategy:
    """Look at a strategy once.

    Raises:
        ConfigurationError: it lacks what every strategy must have, or something that it has is not what it must be.
    """
    for name in (*_MUST_HAVE, "identifier", "batch_type"):
        if getattr(given, name, None) is None:
            raise ConfigurationError(
                f"a batch strategy has identifier, batch_type, process_job and build_template; {given!r} lacks {name}"
            )
    batch_type = check_name(given.batch_type, "batch type")
    if batch_type == CREATE or ":" in batch_type:
        raise ConfigurationError(f"a batch type is not {CREATE!r}, and holds no colon, got {batch_type!r}")
    try:
        confirmation = Confirmation(_said(given, "confirmation"))
    except ValueError:
        raise ConfigurationError(
            f"confirmation of {given!r} must be one of {', '.join(Confirmation)}, got {_said(given, 'confirmation')!r}"
        ) from None
    return Strategy(
        given,
        cast("AbstractBatchJobStrategy", _Hooks(given)),
        check_name(given.identifier, "identifier of a batch strategy"),
        batch_type,
        confirmation,
        _count(given, "confirm_above", least=0),
        _identifying(given),
        _count(given, "max_running", least=1),
        _count(given, "max_retries", least=0) or 0,
    )


def _said(given: object, name: str) -> Any:
    return getattr(given, name, getattr(AbstractBatchJobStrategy, name))


def _count(given: object, name: str, *, least: int) -> int | None:
    value = _said(given, name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} of {given!r} must be a whole number of at least {least}, got {value!r}")
    return value


def _identifying(given: object) -> tuple[str, ...]:
    names = _said(given, "identifying")
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"identifying of {given!r} must name fields of the context, got {names!r}")
    return tuple(names)


class BatchStrategies:
    """The strategies of one app, by batch type."""

    def __init__(self) -> None:
        """Start with none."""
        self.queue_name: str = QUEUE
        self._by_type: dict[str, Strategy] = {}

    @property
    def all(self) -> Sequence[Strategy]:
        """Every strategy, in the order in which they came."""
        return tuple(self._by_type.values())

    def add(self, strategy: Strategy) -> None:
        """Register a strategy.

        Raises:
            ConfigurationError: another one has its type, or its identifier.
        """
        for other in self._by_type.values():
            if other.batch_type == strategy.batch_type:
                raise ConfigurationError(
                    f"two batch strategies are of type {strategy.batch_type!r}: {other.given!r} and {strategy.given!r}"
                )
            if other.identifier == strategy.identifier:
                raise ConfigurationError(
                    f"two batch strategies are called {strategy.identifier!r}: {other.given!r} and {strategy.given!r}"
                )
        self._by_type[strategy.batch_type] = strategy

    def find(self, batch_type: str) -> Strategy | None:
        """Return the strategy of a type, or None."""
        return self._by_type.get(batch_type)

    def get(self, batch_type: str) -> Strategy:
        """Return the strategy of a type.

        Raises:
            BatchJobError: this program has none.
        """
        strategy = self._by_type.get(batch_type)
        if strategy is None:
            known = did_you_mean(str(batch_type), self._by_type)
            raise BatchJobError(
                f"no batch strategy of this program is of type {batch_type!r}: {known}", batch_type=str(batch_type)
            )
        return strategy
