"""New limits for a queue, as the command line is given them, laid over those that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from attrs import frozen
from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.limits import GroupLimits, QueueLimits, RateLimit

__all__ = ["NewLimits"]

Limited = TypeVar("Limited")


def _many(words: str) -> Parameter:
    return Parameter(help=words, negative="", consume_multiple=True)


def _or_none(words: str) -> Parameter:
    # What begins with a hyphen is no option, but something that is refused by name, such as -1.
    return Parameter(help=words, allow_leading_hyphen=True)


@frozen(kw_only=True)
class NewLimits:
    """What `limits set` changes; what is not given stays as it is."""

    max_global_concurrency: Annotated[
        str | None, _or_none("How many of its jobs run at once on all workers, or none.")
    ] = None
    rate: Annotated[str | None, _or_none('How many of its jobs start in a time, such as "100/1 minute", or none.')] = (
        None
    )
    burst: Annotated[int | None, Parameter(help="With --rate: a token bucket that holds so many starts.")] = None
    rate_key: Annotated[
        str | None, Parameter(help='With --rate: count apart by "name", the job\'s, or by "group".')
    ] = None
    weight: Annotated[
        tuple[str, ...], _many("Jobs of a name count as so many starts of the rate, such as newsletter=10.")
    ] = ()
    group_concurrency: Annotated[str | None, _or_none("How many jobs of a group run at once, or none.")] = None
    group_rate: Annotated[str | None, _or_none("How many jobs of a group start in a time, or none.")] = None
    group_weight: Annotated[
        tuple[str, ...], _many("A group has so many turns where others have one, such as acme=3.")
    ] = ()
    name: Annotated[str | None, Parameter(help="The job name that --name-concurrency and --name-rate are for.")] = None
    name_concurrency: Annotated[str | None, _or_none("How many jobs of --name run at once, or none.")] = None
    name_rate: Annotated[str | None, _or_none("How many jobs of --name start in a time, or none.")] = None

    def apply(self, held: QueueLimits) -> QueueLimits:
        """Return these limits with what is given in the place of what they say.

        Raises:
            ConfigurationError: something makes no sense.
        """
        from attrs import evolve

        given = {
            "max_global_concurrency": _count(self.max_global_concurrency, "--max-global-concurrency"),
            "limiter": self._limiter(held.limiter),
            "group": self._group(held.group),
            "names": self._names(held),
        }
        return evolve(held, **_first(given))

    def _limiter(self, held: RateLimit | None) -> tuple[RateLimit | None, ...]:
        from attrs import evolve

        from conveyor.errors import ConfigurationError

        weights = _weights(self.weight, "--weight")
        found = _rate(self.rate, "--rate", self.burst, self.rate_key)
        limiter = found[0] if found else held
        if limiter is None:
            if weights:
                raise ConfigurationError(
                    "--weight says what counts against a rate, and there is none: give --rate, too"
                )
            return found
        kept = {} if held is None else held.weights
        return (evolve(limiter, weights=_merged(kept, weights)),) if found or weights else ()

    def _group(self, held: GroupLimits | None) -> tuple[GroupLimits, ...]:
        from attrs import evolve

        from conveyor.model.limits import GroupLimits

        before = held or GroupLimits()
        weights = _weights(self.group_weight, "--group-weight")
        given = _first(
            {
                "concurrency": _count(self.group_concurrency, "--group-concurrency"),
                "limiter": _rate(self.group_rate, "--group-rate"),
                "weights": (_merged(before.weights, weights),) if weights else (),
            }
        )
        return (evolve(before, **given),) if given else ()

    def _names(self, held: QueueLimits) -> tuple[dict[str, Any], ...]:
        from attrs import evolve

        from conveyor.errors import ConfigurationError
        from conveyor.model.limits import NameLimits

        given = _first(
            {
                "concurrency": _count(self.name_concurrency, "--name-concurrency"),
                "limiter": _rate(self.name_rate, "--name-rate"),
            }
        )
        if self.name is None and given:
            raise ConfigurationError("--name-concurrency and --name-rate are for the jobs of a name: give --name, too")
        if self.name is None:
            return ()
        if not given:
            raise ConfigurationError("--name says whose limits change: give --name-concurrency or --name-rate, too")
        limits = evolve(held.names.get(self.name, NameLimits()), **given)
        others = {name: of_name for name, of_name in held.names.items() if name != self.name}
        return (others if limits == NameLimits() else others | {self.name: limits},)


def _first(given: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return what was given of some values, each in a tuple that is empty where it was not."""
    return {name: values[0] for name, values in given.items() if values}


def _count(value: str | None, name: str) -> tuple[int | None, ...]:
    from conveyor.errors import ConfigurationError

    if value is None:
        return ()
    if value == "none":
        return (None,)
    if not value.isdecimal() or not int(value):
        raise ConfigurationError(f"{name} must be a whole number of at least 1, or none, got {value!r}")
    return (int(value),)


def _rate(
    value: str | None, name: str, burst: int | None = None, key: str | None = None
) -> tuple[RateLimit | None, ...]:
    from conveyor.errors import ConfigurationError
    from conveyor.model.limits import RateLimit

    if value is None and (burst is not None or key is not None):
        raise ConfigurationError("--burst and --rate-key say more about --rate: give it, too")
    if value is None:
        return ()
    if value == "none":
        return (None,)
    most, _, per = value.partition("/")
    if not most.strip().isdecimal() or not per.strip():
        raise ConfigurationError(f'{name} must be starts per time, such as "100/1 minute", or none, got {value!r}')
    return (RateLimit(int(most), per.strip(), key, burst),)  # type: ignore[arg-type] # it says itself what it takes


def _weights(given: Sequence[str], name: str) -> dict[str, int | None]:
    """Return weights by what they are of; None: it has none any more."""
    from conveyor.errors import ConfigurationError

    weights: dict[str, int | None] = {}
    for one in given:
        of, separator, weight = one.rpartition("=")
        if not separator or not (weight == "none" or weight.isdecimal()):
            raise ConfigurationError(f"{name} must be a name and a whole number or none, such as x=3, got {one!r}")
        weights[of] = None if weight == "none" else int(weight)
    return weights


def _merged(held: Mapping[str, int], given: Mapping[str, int | None]) -> dict[str, int]:
    return {of: weight for of, weight in {**held, **given}.items() if weight is not None}
