"""Spans and metrics of adds and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conveyor_plugin_observability import OpenTelemetry
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode

from conveyor import Cancel, Conveyor, Failed, JobContext, Retry, Snooze, Stop
from conveyor.model.queries import AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext
    from telemetry import Telemetry

    from conveyor import NewJob

pytestmark = pytest.mark.anyio


def place(span: ReadableSpan) -> SpanContext:
    """Return which span it is, in which trace."""
    found: SpanContext | None = span.context
    assert found is not None
    return found


def error_events(span: Any) -> list[str]:
    """Return the types of the exceptions that a span has recorded."""
    return [event.attributes["exception.type"] for event in span.events if event.name == "exception"]


async def test_an_add_and_its_run_have_spans_and_the_run_links_to_the_add(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])

    @app.queue("emails").job()
    async def send(to: str) -> str:
        return to

    async with app, app.worker():
        job = await send.add("ada")
        await job.result(timeout="10s")
    (add,), (run,) = telemetry.named("add emails"), telemetry.named("run emails")
    assert (add.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert dict(add.attributes or {}) == {
        "messaging.system": "conveyor",
        "messaging.operation.name": "add",
        "messaging.operation.type": "send",
        "messaging.destination.name": "emails",
        "messaging.message.id": job.id,
        "conveyor.job.name": "send",
    }
    assert dict(run.attributes or {}) == {
        "messaging.system": "conveyor",
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.destination.name": "emails",
        "messaging.message.id": job.id,
        "conveyor.job.name": "send",
        "conveyor.job.attempt": 1,
        "conveyor.job.outcome": "completed",
    }
    assert run.parent is None
    assert [link.context.span_id for link in run.links] == [place(add).span_id]
    assert place(run).trace_id != place(add).trace_id
    assert run.status.status_code is add.status.status_code is StatusCode.UNSET


async def test_jobs_of_one_add_go_on_sharing_their_options(telemetry: Telemetry) -> None:
    app = Conveyor("memory://")

    @app.queue("emails").job(metadata={"mine": "1"})
    async def send() -> None: ...

    async def take(jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        return [AddReceipt(job.id) for job in jobs]

    urgent = send.options(priority=-1)
    jobs = [send.new(), send.new(), urgent.new(), send.new()]
    await telemetry.middleware().around_add(jobs, take)
    first, second, third, last = (job.options for job in jobs)
    assert first is second
    assert first == last
    assert (first.priority, third.priority) == (0, -1)
    assert first.metadata == third.metadata
    assert first.metadata.keys() == {"mine", "traceparent"}
    # What others were made with stays as it is.
    assert send.new().options.metadata == {"mine": "1"}


async def test_a_run_may_continue_the_trace_of_its_add(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware(continues_trace=True)])

    @app.queue("emails").job()
    async def send() -> None: ...

    async with app, app.worker():
        await (await send.add()).result(timeout="10s")
    (add,), (run,) = telemetry.named("add emails"), telemetry.named("run emails")
    assert run.parent is not None
    assert (run.parent.span_id, place(run).trace_id) == (place(add).span_id, place(add).trace_id)
    assert run.links == ()


@pytest.mark.parametrize("executor", ["loop", "thread"])
async def test_spans_of_a_handler_stand_below_its_run(telemetry: Telemetry, executor: str) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])
    tracer = telemetry.tracer_provider.get_tracer("of the user")

    def work() -> None:
        with tracer.start_as_current_span("inner"):
            pass

    if executor == "thread":
        handler: Any = app.queue("work").job(name="work")(work)
    else:

        @app.queue("work").job()
        async def on_loop() -> None:
            work()

        handler = on_loop
    async with app, app.worker():
        await (await handler.add()).result(timeout="10s")
    (inner,), (run,) = telemetry.named("inner"), telemetry.named("run work")
    assert inner.parent is not None
    assert inner.parent.span_id == place(run).span_id


async def test_what_a_run_adds_stands_below_it_and_its_own_runs_link_there(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])
    jobs: list[Any] = []

    @app.queue("second").job()
    async def later() -> None: ...

    @app.queue("first").job()
    async def at_first() -> None:
        jobs.append(await later.add())

    async with app, app.worker():
        await (await at_first.add()).result(timeout="10s")
        await jobs[0].result(timeout="10s")
    (first,), (add,), (second,) = (telemetry.named(name) for name in ("run first", "add second", "run second"))
    assert add.parent is not None
    assert add.parent.span_id == place(first).span_id
    assert second.links[0].context.span_id == place(add).span_id


async def test_baggage_comes_along_also_to_a_trace_of_its_own(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])

    @app.queue("work").job()
    async def who() -> object:
        return baggage.get_baggage("tenant")

    async with app, app.worker():
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        try:
            job = await who.add()
        finally:
            context.detach(token)
        assert await job.result(timeout="10s") == "acme"


async def test_several_jobs_are_one_add_and_each_run_links_to_it(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])
    work = app.queue("work")

    @work.job()
    async def one() -> None: ...

    @app.queue("other").job()
    async def two() -> None: ...

    async with app, app.worker():
        for job in await work.add_many([one.new(), one.new(), two.new()]):
            await job.result(timeout="10s")
    (add,) = telemetry.named("add")
    assert add.attributes is not None
    assert add.attributes["messaging.batch.message_count"] == 3
    assert not {"messaging.destination.name", "messaging.message.id", "conveyor.job.name"} & set(add.attributes)
    runs = telemetry.named("run work") + telemetry.named("run other")
    assert [run.links[0].context.span_id for run in runs] == [place(add).span_id] * 3
    (sent,) = telemetry.points("messaging.client.sent.messages")
    assert sent.value == 3  # type: ignore[union-attr] # a counter's point has one


class OrderError(Exception):
    """An error of the user's."""


async def test_a_run_that_fails_says_so_and_why(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])

    @app.queue("work").job(attempts=2)
    async def fail(context: JobContext) -> None:
        raise OrderError(f"no {context.attempt}")

    async with app, app.worker():
        await (await fail.add()).wait_until_finished(timeout="10s")
    first, second = telemetry.named("run work")
    for number, run in enumerate((first, second), 1):
        assert run.attributes is not None
        assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, f"no {number}")
        assert run.attributes["error.type"] == "test_tracing.OrderError"
        assert run.attributes["conveyor.job.outcome"] == "failed"
        assert run.attributes["conveyor.job.attempt"] == number
        assert error_events(run) == ["test_tracing.OrderError"]
    durations = telemetry.points("messaging.process.duration")
    assert [(point.count, dict(point.attributes or {})["error.type"]) for point in durations] == [  # type: ignore[union-attr]
        (2, "test_tracing.OrderError")
    ]


@pytest.mark.parametrize(
    ("outcome", "name", "status", "errors"),
    [
        (Failed(ValueError("x"), retry=False), "failed", StatusCode.ERROR, ["ValueError"]),
        (Retry(reason="busy"), "retry", StatusCode.ERROR, []),
        (Cancel("no"), "cancelled", StatusCode.UNSET, []),
        (Snooze("1 day"), "snoozed", StatusCode.UNSET, []),
    ],
)
@pytest.mark.parametrize("is_raised", [False, True], ids=["returned", "raised"])
async def test_outcomes_are_told_and_only_failures_are_errors(  # noqa: PLR0917 - what it is about
    telemetry: Telemetry, outcome: Any, name: str, status: StatusCode, errors: list[str], is_raised: bool
) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])
    ended = anyio.Event()

    @app.queue("work").job()
    async def end() -> object:
        ended.set()
        if is_raised:
            raise Stop(outcome)
        return outcome

    async with app, app.worker():
        await end.add()
        await ended.wait()
    (run,) = telemetry.named("run work")
    assert run.attributes is not None
    assert run.attributes["conveyor.job.outcome"] == name
    assert (run.status.status_code, error_events(run)) == (status, errors)


async def test_a_run_that_is_cancelled_ends_its_span_without_an_error(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])
    begun = anyio.Event()

    @app.queue("work").job()
    async def wait() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with app, app.worker():
        job = await wait.add()
        await begun.wait()
        await job.cancel()
    (run,) = telemetry.named("run work")
    assert run.attributes is not None
    assert "conveyor.job.outcome" not in run.attributes
    assert (run.status.status_code, error_events(run)) == (StatusCode.UNSET, [])


async def test_an_add_that_is_refused_is_an_error_and_adds_nothing_to_what_was_sent(telemetry: Telemetry) -> None:
    class Refusing:
        async def around_add(self, jobs: Any, call_next: Any) -> Any:
            raise OrderError("closed")

        async def around_run(self, job: Any, call_next: Any) -> Any:
            return await call_next()

    app = Conveyor("memory://", middleware=[telemetry.middleware(), Refusing()])
    async with app:
        with pytest.raises(OrderError):
            await app.queue("work").add("x")
    (add,) = telemetry.named("add work")
    assert (add.status.status_code, error_events(add)) == (StatusCode.ERROR, ["test_tracing.OrderError"])
    assert telemetry.points("messaging.client.sent.messages") == []


async def test_a_job_that_nobody_traced_runs_in_a_trace_of_its_own(telemetry: Telemetry) -> None:
    app = Conveyor("memory://", middleware=[telemetry.middleware()])

    @app.queue("work").job(metadata={"traceparent": "nonsense", "mine": "1"})
    async def rest(context: JobContext) -> dict[str, str]:
        return dict(context.job.options.metadata)

    async with app:
        silent = Conveyor(app._services.store)
        async with silent:
            job = await silent.queue("work").add("rest", metadata={"traceparent": "nonsense", "mine": "1"})
        async with app.worker():
            found = await (await app.jobs.get(job.id)).result(timeout="10s")
    (run,) = telemetry.named("run work")
    assert (run.parent, run.links) == (None, ())
    assert found == {"traceparent": "nonsense", "mine": "1"}


async def test_without_an_sdk_nothing_is_told_and_nothing_taken_along() -> None:
    app = Conveyor("memory://", middleware=["opentelemetry"])

    @app.queue("work").job()
    async def seen(context: JobContext) -> dict[str, str]:
        assert not trace.get_current_span().is_recording()
        return dict(context.job.options.metadata)

    async with app, app.worker():
        assert await (await seen.add()).result(timeout="10s") == {}


def test_the_middleware_is_found_by_its_name() -> None:
    provider = Conveyor("memory://").plugins.middleware_provider("opentelemetry")
    assert isinstance(provider.create(), OpenTelemetry)
