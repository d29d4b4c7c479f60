"""Quart-Trio: requests add jobs, and a worker in the same process runs them, all on trio.

Serve it: `hypercorn --worker-class trio main:web`. Run as a program, it asks itself through Quart's test client.
"""

from collections.abc import AsyncGenerator

import trio
from quart_trio import QuartTrio

from conveyor import Conveyor
from conveyor.errors import JobNotFoundError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")
web = QuartTrio(__name__)


@orders.job()
async def pack(order: int) -> str:
    await trio.sleep(0.01)
    return f"order {order} is packed"


@web.while_serving
async def lifespan() -> AsyncGenerator[None, None]:
    # Without app.worker() it only adds, and `conveyor worker main:app` runs the jobs in other processes.
    async with app, app.worker(concurrency=5):
        yield


@web.post("/orders/<int:order>")
async def take_order(order: int) -> tuple[dict[str, str], int]:
    job = await pack.add(order)
    return {"job": job.id}, 202


@web.get("/jobs/<job_id>")
async def show_job(job_id: str) -> tuple[dict[str, str], int]:
    try:
        job = await app.jobs.get(job_id)
    except JobNotFoundError as error:
        return {"error": str(error)}, 404
    result: str = await job.result(timeout="10s")
    return {"state": job.state, "result": result}, 200


async def main() -> None:
    async with web.test_app() as serving:
        client = serving.test_client()
        added = await (await client.post("/orders/1")).get_json()
        shown = await client.get(f"/jobs/{added['job']}")
        print(shown.status_code, await shown.get_json())
        print((await client.get("/jobs/unknown")).status_code)


if __name__ == "__main__":
    trio.run(main)
