"""Flows as plans, what is refused, and what becomes of parents."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from attrs import evolve

from conveyor.errors import ConfigurationError, FlowError
from conveyor.model import flows
from conveyor.model.deduplication import Deduplication
from conveyor.model.flows import (
    ChildOutcome,
    Edge,
    Flow,
    Standing,
    Step,
    child_failed,
    next_step,
    on_children_settled,
    plan_children,
    plan_flow,
)
from conveyor.model.groups import Group
from conveyor.model.job import NewJob
from conveyor.model.options import ChildFailurePolicy, JobOptions, parse_job_keywords

FAIL, IGNORE, REMOVE = ChildFailurePolicy
OPTIONS = JobOptions(priority=3)


def new(job_id: str) -> NewJob:
    return NewJob(job_id, "work", "do", b"{}", OPTIONS)


def flow(job_id: str, *children: Flow | NewJob) -> Flow:
    return Flow(new(job_id), children)


def test_children_come_before_their_parents_and_all_name_their_flow() -> None:
    plan = plan_flow(flow("top", flow("middle", new("leaf")), new("other")))
    assert [job.id for job in plan.jobs] == ["leaf", "middle", "other", "top"]
    assert plan.edges == (Edge("middle", "leaf"), Edge("top", "middle"), Edge("top", "other"))
    assert {job.options for job in plan.jobs} == {evolve(OPTIONS, flow_id="top")}
    # Stores encode options once for neighbours that share them.
    assert len({id(job.options) for job in plan.jobs}) == 1


def test_a_job_may_stand_under_several_parents() -> None:
    shared = flow("shared", new("leaf"))
    plan = plan_flow(flow("top", flow("left", shared), flow("right", shared)))
    assert [job.id for job in plan.jobs] == ["leaf", "shared", "left", "right", "top"]
    assert {edge.parent_id for edge in plan.edges if edge.child_id == "shared"} == {"left", "right"}


def test_children_of_a_job_that_is_there_are_planned_without_it() -> None:
    plan = plan_children("there", "flow", [flow("more", new("leaf")), new("other")])
    assert [job.id for job in plan.jobs] == ["leaf", "more", "other"]
    assert Edge("there", "more") in plan.edges
    assert {job.options.flow_id for job in plan.jobs} == {"flow"}


def test_a_flow_that_holds_itself_is_refused() -> None:
    inner = flow("inner", flow("top", new("leaf")))
    with pytest.raises(FlowError, match="'top' would wait for itself: top -> inner -> top"):
        plan_flow(flow("top", inner))
    with pytest.raises(FlowError, match="'there' would wait for itself"):
        plan_children("there", "there", [flow("more", new("there"))])


@pytest.mark.parametrize(
    "wrong",
    [
        flow("top", new("a"), new("a")),
        flow("top", flow("left", new("a")), flow("right", new("a"))),
        flow("top", flow("left", new("x")), new("left")),
    ],
)
def test_two_jobs_of_one_id_are_refused(wrong: Flow) -> None:
    with pytest.raises(FlowError, match="two jobs of the flow have the id"):
        plan_flow(wrong)


@pytest.mark.parametrize("wrong", [None, new("a"), flow("a"), flow("a", flow("b"))])
def test_what_is_no_flow_is_refused(wrong: Any) -> None:
    with pytest.raises(FlowError):
        plan_flow(wrong)
    with pytest.raises(FlowError):
        plan_children("there", "there", [])


@pytest.mark.parametrize(
    ("parent", "children", "named"),
    [
        ("a", [], "the parent of a flow is a job made with new"),
        (new("a"), None, "the children of a flow are a list"),
        (new("a"), new("b"), "the children of a flow are a list"),
        (new("a"), [None], "a flow is made of jobs made with new"),
        (new("a"), "bc", "a flow is made of jobs made with new"),
    ],
)
def test_what_no_flow_can_be_made_of_is_refused_when_it_is_given(parent: Any, children: Any, named: str) -> None:
    with pytest.raises(FlowError, match=named):
        Flow(parent, children)


def test_a_job_with_a_deduplication_key_is_refused() -> None:
    keyed = evolve(new("keyed"), deduplication=Deduplication(key="k"))
    with pytest.raises(FlowError, match="'keyed' has a deduplication key"):
        plan_flow(flow("top", keyed))


def test_a_job_that_its_group_may_refuse_is_refused() -> None:
    grouped = evolve(new("grouped"), options=JobOptions(group=Group("acme", max_size=3)))
    with pytest.raises(FlowError, match="'grouped' has a group with max_size"):
        plan_flow(flow("top", grouped))
    plan_flow(flow("top", evolve(new("grouped"), options=JobOptions(group=Group("acme")))))


def test_a_flow_is_neither_too_deep_nor_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Flow | NewJob = new("0")
    for number in range(1, flows.LONGEST_PATH + 1):
        deep = flow(str(number), deep)
    assert isinstance(deep, Flow)
    assert len(plan_flow(deep).jobs) == flows.LONGEST_PATH + 1
    with pytest.raises(FlowError, match="at most 100 generations"):
        plan_flow(flow("top", deep))
    monkeypatch.setattr(flows, "LARGEST_FLOW", 3)
    plan_flow(flow("top", new("a"), new("b"), new("c")))
    with pytest.raises(FlowError, match="at most 3 jobs"):
        plan_flow(flow("top", new("a"), new("b"), new("c"), new("d")))


def test_a_parent_goes_on_as_its_children_stand() -> None:
    for open_count, failed_count, policy in product((0, 1, 5), (0, 2), ChildFailurePolicy):
        step = next_step(Standing(open_count, failed_count), policy)
        if failed_count and policy is FAIL:
            assert step is Step.FAIL
        else:
            assert step is (Step.WAIT if open_count else Step.RUN)


@pytest.mark.parametrize(("policy", "failed"), [(FAIL, 3), (IGNORE, 3), (REMOVE, 0)])
def test_whatever_is_not_completed_counts_as_failed_unless_it_is_dropped(
    policy: ChildFailurePolicy, failed: int
) -> None:
    assert on_children_settled(Standing(6), list(ChildOutcome), policy) == Standing(2, failed)


def test_a_parents_error_names_the_child() -> None:
    assert str(child_failed("x", ChildOutcome.CANCELLED, "shop", "pack")) == "ChildFailed: its child x cancelled"
    removed = child_failed("x", ChildOutcome.REMOVED, "shop", "pack")
    assert str(removed) == "ChildFailed: its child x was removed before it ended"


def test_parents_that_fail_alike_have_one_fingerprint_whichever_child_it_was() -> None:
    def of(child_id: str, outcome: ChildOutcome, name: str = "pack") -> str:
        return child_failed(child_id, outcome, "shop", name).fingerprint

    assert of("part", ChildOutcome.FAILED) == of('it\'s "other"', ChildOutcome.FAILED) == of("7", ChildOutcome.FAILED)
    assert len({of("part", outcome) for outcome in ChildOutcome}) == len(ChildOutcome)
    assert of("part", ChildOutcome.FAILED) != of("part", ChildOutcome.FAILED, "send")


@pytest.mark.parametrize("policy", ["stop", None, 1, ""])
def test_an_unknown_policy_is_refused(policy: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_child_failure must be one of fail, ignore, remove"):
        parse_job_keywords({"on_child_failure": policy}, OPTIONS)


def test_nobody_gives_a_job_its_flow() -> None:
    with pytest.raises(ConfigurationError, match="unknown job option 'flow_id'"):
        parse_job_keywords({"flow_id": "top"}, OPTIONS)  # type: ignore[typeddict-unknown-key] # that is what is wrong
