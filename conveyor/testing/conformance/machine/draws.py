"""What the state machine draws from: few queues, names and ids, so that jobs meet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from conveyor.model.deduplication import Deduplication
from conveyor.model.queries import Want
from conveyor.model.states import SETTLED_STATES, Command, JobState

__all__ = [
    "BATCHES",
    "DEDUPLICATIONS",
    "IDS",
    "NAMES",
    "NEW_DELAY",
    "NEW_PAYLOAD",
    "NEW_PRIORITY",
    "QUEUES",
    "Description",
    "End",
    "FlowShape",
    "descriptions",
    "ends",
    "flow_shapes",
    "hands",
    "ids",
    "names",
    "numbers",
    "policies",
    "queues",
    "settled_states",
    "wants",
]

# How a run ends: its command, whether it was snoozed, whether the job leaves no record.
End: TypeAlias = tuple[Command, bool, bool]
# Id, queue, name, payload, priority, whether it is lifo, seconds of delay, seconds until it expires (0: never), and the
# place of its deduplication.
Description: TypeAlias = tuple[str, str, str, bytes, int, bool, int, int, int]

# Its jobs, the root last, and how they hang together: all below the root, each below the next, or the first below all.
FlowShape: TypeAlias = tuple[list[Description], str, str]

QUEUES: Final = ("orders", "elsewhere")
NAMES: Final = ("pack", "ship")
IDS: Final = tuple("abcdefgh")
BATCHES: Final = ("one", "two", "three")
DEDUPLICATIONS: Final = (
    None,
    *(Deduplication(key="red", mode=mode) for mode in ("keep", "replace", "debounce", "reject")),
    *(Deduplication(key="red", mode=mode, ttl=8) for mode in ("keep", "replace", "debounce", "throttle")),
    Deduplication(key="red", states=[JobState.WAITING]),
    Deduplication(key="red", states=[*JobState]),
)
# What edits change jobs to.
NEW_PAYLOAD: Final = b"[4]"
NEW_PRIORITY: Final = -2
NEW_DELAY: Final = timedelta(seconds=7)
FINAL_ENDS: Final = [(command, False, False) for command in (Command.COMPLETE, Command.FAIL, Command.STOP)]
REMOVALS: Final = [(command, False, True) for command in (Command.COMPLETE, Command.FAIL)]
NEXT_RUNS: Final = [(command, is_snoozed, False) for command in (Command.RETRY, Command.DELAY) for is_snoozed in (0, 1)]
WAITS: Final = [(Command.WAIT_FOR_CHILDREN, False, False)]
STALLS: Final = [(Command.RECLAIM, False, False), (Command.GIVE_UP, False, False), (Command.GIVE_UP, False, True)]

ids: st.SearchStrategy[str] = st.sampled_from(IDS)
# Most of what happens happens in the first queue.
queues: st.SearchStrategy[str] = st.sampled_from((*QUEUES[:1], *QUEUES))
names: st.SearchStrategy[str] = st.sampled_from(NAMES)
numbers: st.SearchStrategy[int] = st.integers(0, 5)
hands: st.SearchStrategy[int] = st.integers(0, 1)
ends: st.SearchStrategy[tuple[Command, bool | int, bool]] = st.sampled_from(
    [*FINAL_ENDS, *REMOVALS, *NEXT_RUNS, *STALLS, *WAITS]
)
plain_wants: st.SearchStrategy[Want] = st.builds(
    Want, queues, st.sampled_from((0, 1, 2, 9)), st.booleans(), st.sampled_from((None, None, *NAMES))
)
suspect_wants: st.SearchStrategy[Want] = st.builds(
    Want, queues, st.just(1), st.booleans(), st.none() | names, st.just(True)
)
wants: st.SearchStrategy[Want] = st.one_of(plain_wants, plain_wants, plain_wants, suspect_wants)
settled_states: st.SearchStrategy[JobState] = st.sampled_from(sorted(SETTLED_STATES))
payloads: st.SearchStrategy[bytes] = st.sampled_from((b"{}", b"{}", b"[2]"))
descriptions: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    ids,
    queues,
    names,
    payloads,
    st.sampled_from((0, 0, -1)),
    st.booleans(),
    st.sampled_from((0, 0, 0, 5, 40)),
    st.sampled_from((0, 0, 3, 20)),
    st.sampled_from((*[0] * 30, *range(1, len(DEDUPLICATIONS)))),
)
policies: st.SearchStrategy[str] = st.sampled_from(("fail", "fail", "ignore", "remove"))
flow_shapes: st.SearchStrategy[tuple[list[Any], str, str]] = st.tuples(
    st.lists(descriptions, min_size=2, max_size=4, unique_by=lambda described: described[0]),
    st.sampled_from(("flat", "chain", "shared")),
    policies,
)
