"""What a program does with its buffers, counted for OpenTelemetry and for Prometheus."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from conveyor_plugin_observability import metrics_text
from prometheus_client.parser import text_string_to_metric_families

from conveyor import Conveyor, JobBuffer, dedupe
from conveyor.errors import BufferError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemetry import Telemetry

    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio

NAMES = ("collected", "reduced", "merged", "added", "dead_letters", "flushes", "failures")
# Three jobs were put there and two of them merged; one job could not be reduced, and one that stays could not either.
DONE = {
    "fails": dict(zip(NAMES, (1, 1, 0, 1, 1, 1, 1), strict=True)),
    "keeps": dict(zip(NAMES, (1, 0, 0, 0, 0, 0, 1), strict=True)),
    "reindex": dict(zip(NAMES, (3, 3, 1, 2, 0, 1, 0), strict=True)),
}


def told(telemetry: Telemetry) -> dict[str, dict[str, float]]:
    """Return what the counters stand at, by buffer."""
    found: dict[str, dict[str, float]] = {}
    for name in NAMES:
        points: Any = telemetry.points(f"conveyor.buffer.{name}")
        for point in points:
            found.setdefault(point.attributes["conveyor.buffer.id"], {})[name] = point.value
    return {buffer_id: dict.fromkeys(NAMES, 0) | counts for buffer_id, counts in sorted(found.items())}


def written(text: str) -> dict[str, dict[str, float]]:
    """Return the same of a page for Prometheus."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name.removeprefix("conveyor_buffer_")
        for sample in family.samples if name in NAMES else ():
            found.setdefault(sample.labels["buffer"], {})[name] = sample.value
    return found


def fail(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
    raise ValueError(len(jobs))


def is_called(name: str, job: BufferedJob) -> bool:
    return job.name == name


def shop(telemetry: Telemetry, prefix: str = "") -> Conveyor:
    app = Conveyor("memory://", middleware=[telemetry.middleware()], prefix=prefix)
    policies = {"reindex": "keep", "fails": "dead_letter", "keeps": "keep"}
    for name, policy in policies.items():
        reduce = dedupe("id") if name == "reindex" else fail
        collect = partial(is_called, name)
        app.buffers.add_buffer(JobBuffer(name, collect=collect, reduce=reduce, on_reduce_error=policy))
    return app


async def work(app: Conveyor) -> None:
    queue = app.queue("work")
    await queue.add_many([queue.new("reindex", {"id": number % 2}) for number in range(3)])
    for name in ("fails", "keeps", "other"):
        await queue.add(name)
    with pytest.raises(BufferError):
        await app.buffers.flush()


async def test_what_is_done_with_buffers_is_counted_as_it_happens(telemetry: Telemetry) -> None:
    async with shop(telemetry) as app:
        assert (told(telemetry), written(await metrics_text(app))) == ({}, {})
        await work(app)
        assert (told(telemetry), written(await metrics_text(app))) == (DONE, DONE)


async def test_what_several_apps_do_is_counted_by_whole_ids_and_stays_where_they_end(telemetry: Telemetry) -> None:
    for prefix in ("shop-", "shop-", "bar-"):
        async with shop(telemetry, prefix) as app:
            await work(app)
            # Of this app alone, by its own ids, as all else on the page.
            assert written(await metrics_text(app)) == DONE
    counted = told(telemetry)
    assert counted["bar-reindex"] == DONE["reindex"]
    assert counted["shop-reindex"] == {name: 2 * count for name, count in DONE["reindex"].items()}
