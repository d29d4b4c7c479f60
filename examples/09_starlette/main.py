"""Starlette: requests add jobs, and a worker in the same process runs them. Serve it: `uvicorn main:web`.

Run as a program, it asks itself through Starlette's test client, on the loop that BACKEND names.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from conveyor import Conveyor
from conveyor.errors import JobNotFoundError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")


@orders.job()
async def pack(order: int) -> str:
    return f"order {order} is packed"


@asynccontextmanager
async def lifespan(_web: Starlette) -> AsyncIterator[None]:
    # Without app.worker() it only adds, and `conveyor worker main:app` runs the jobs in other processes.
    async with app, app.worker(concurrency=5):
        yield


async def take_order(request: Request) -> JSONResponse:
    job = await pack.add(request.path_params["order"])
    return JSONResponse({"job": job.id}, status_code=202)


async def show_job(request: Request) -> JSONResponse:
    try:
        job = await app.jobs.get(request.path_params["job_id"])
    except JobNotFoundError as error:
        return JSONResponse({"error": str(error)}, status_code=404)
    result = await job.result(timeout="10s")
    return JSONResponse({"state": job.state, "result": result})


web = Starlette(
    routes=[Route("/orders/{order:int}", take_order, methods=["POST"]), Route("/jobs/{job_id}", show_job)],
    lifespan=lifespan,
)


def main(backend: Literal["asyncio", "trio"]) -> None:
    with TestClient(web, backend=backend) as client:
        added = client.post("/orders/1").raise_for_status().json()
        print(client.get(f"/jobs/{added['job']}").raise_for_status().json())
        print(client.get("/jobs/unknown").status_code)


if __name__ == "__main__":
    main("trio" if os.environ.get("BACKEND") == "trio" else "asyncio")
