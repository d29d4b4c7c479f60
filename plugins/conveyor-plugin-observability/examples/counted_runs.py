"""The numbers of a store, as Prometheus reads them, after two runs: one that completed and one that failed."""

import os

import anyio
from conveyor_plugin_observability import metrics_text

from conveyor import Conveyor

app = Conveyor("memory://")


@app.queue("emails").job()
async def send_welcome(to: str) -> str:
    if "@" not in to:
        raise ValueError(f"{to} is no address")
    return f"sent to {to}"


async def main() -> None:
    async with app, app.worker():
        for to in ("ada@example.com", "nobody"):
            job = await send_welcome.add(to)
            await job.wait_until_finished(timeout="10s")
        lines = (await metrics_text(app)).splitlines()
    print("\n".join(line for line in lines if line.startswith("conveyor_runs_total")))


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
