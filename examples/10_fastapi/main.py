"""FastAPI: requests add jobs, and a worker in the same process runs them. Serve it: `uvicorn main:web`.

Run as a program, it asks itself through FastAPI's test client.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from conveyor import Conveyor
from conveyor.errors import JobNotFoundError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")


class Order(BaseModel):
    """One model describes the request and the job."""

    title: str
    count: int = 1


@orders.job()
async def pack(order: Order) -> str:
    return f"{order.count} of {order.title} packed"


@asynccontextmanager
async def lifespan(_web: FastAPI) -> AsyncIterator[None]:
    # Without app.worker() it only adds, and `conveyor worker main:app` runs the jobs in other processes.
    async with app, app.worker(concurrency=5):
        yield


web = FastAPI(lifespan=lifespan)


@web.post("/orders", status_code=202)
async def take_order(order: Order) -> dict[str, str]:
    job = await pack.add(order)
    return {"job": job.id}


@web.get("/jobs/{job_id}")
async def show_job(job_id: str) -> dict[str, str]:
    try:
        job = await app.jobs.get(job_id)
    except JobNotFoundError as error:
        raise HTTPException(404, str(error)) from error
    result: str = await job.result(timeout="10s")
    return {"state": job.state, "result": result}


def main() -> None:
    with TestClient(web) as client:
        added = client.post("/orders", json={"title": "Emma", "count": 2}).raise_for_status().json()
        print(client.get(f"/jobs/{added['job']}").raise_for_status().json())
        print(client.post("/orders", json={"count": 2}).status_code, client.get("/jobs/unknown").status_code)


if __name__ == "__main__":
    main()
