"""Traces on the terminal: an add and its run, each a span, the second linked to the first."""

import os

import anyio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from conveyor import Conveyor

app = Conveyor("memory://", middleware=["opentelemetry"])


@app.queue("emails").job()
async def send_welcome(to: str) -> str:
    return f"sent to {to}"


def line(span: ReadableSpan) -> str:
    links = f", linked to {len(span.links)}" if span.links else ""
    outcome = (span.attributes or {}).get("conveyor.job.outcome", "")
    return f"{span.kind.name.lower()}: {span.name}{links} {outcome}".rstrip() + "\n"


async def main() -> None:
    # Where spans go is the program's choice; an OTLP exporter takes this place.
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
    trace.set_tracer_provider(provider)
    async with app, app.worker():
        job = await send_welcome.add("ada@example.com")
        await job.result(timeout="10s")


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
