"""Litestar: requests add jobs, and a worker in the same process runs them. Serve it: `uvicorn main:web`.

Run as a program, it asks itself through Litestar's test client, on the loop that BACKEND names.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from litestar import Litestar, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.testing import TestClient

from conveyor import Conveyor
from conveyor.errors import JobNotFoundError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")


@orders.job()
async def pack(order: int) -> str:
    return f"order {order} is packed"


@asynccontextmanager
async def lifespan(_web: Litestar) -> AsyncIterator[None]:
    # Without app.worker() it only adds, and `conveyor worker main:app` runs the jobs in other processes.
    async with app, app.worker(concurrency=5):
        yield


@post("/orders/{order:int}", status_code=202)
async def take_order(order: FromPath[int]) -> dict[str, str]:
    job = await pack.add(order)
    return {"job": job.id}


@get("/jobs/{job_id:str}")
async def show_job(job_id: FromPath[str]) -> dict[str, str]:
    try:
        job = await app.jobs.get(job_id)
    except JobNotFoundError as error:
        raise NotFoundException(str(error)) from error
    result: str = await job.result(timeout="10s")
    return {"state": job.state, "result": result}


web = Litestar([take_order, show_job], lifespan=[lifespan])


def main(backend: Literal["asyncio", "trio"]) -> None:
    with TestClient(web, backend=backend) as client:
        added = client.post("/orders/1").raise_for_status().json()
        print(client.get(f"/jobs/{added['job']}").raise_for_status().json())
        print(client.get("/jobs/unknown").status_code)


if __name__ == "__main__":
    main("trio" if os.environ.get("BACKEND") == "trio" else "asyncio")
