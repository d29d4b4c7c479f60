"""A sale and the job that packs it, together; and a job that completes together with what it books.

    python transactions.py postgresql://postgres@localhost/test

It makes the tables `example_sales` and `example_bookings`, and drops them at the end.
"""

from __future__ import annotations

import os
import sys

import anyio
import psycopg

from conveyor import Conveyor, Job, JobContext

URL = sys.argv[1]
app = Conveyor(URL)
orders = app.queue("example-orders")


@orders.job()
async def pack(context: JobContext, title: str) -> str:
    async with context.transaction() as connection:
        await connection.execute("insert into example_bookings values ($1)", title)
        row = await connection.fetchrow("select count(*) as total from example_bookings")
        assert row is not None
        context.set_result(f"{title} is packed, {row['total']} in all")
    # Both are committed here: what was booked, and that the job is completed.
    return f"{title} is packed, {row['total']} in all"


async def sell(shop: psycopg.Connection, title: str) -> Job[str]:
    """Write to a table of the shop's own and add a job, both in the shop's own transaction."""
    shop.execute("insert into example_sales values (%s)", [title])
    return await pack.options(connection=shop).add(title)


async def main() -> None:
    with psycopg.connect(URL) as shop:
        shop.execute("create table example_sales (title text); create table example_bookings (title text)")
        shop.commit()
        try:
            async with app, app.worker():
                await sell(shop, "Emma")
                shop.rollback()
                print("rolled back:", sum((await orders.counts()).values()), "jobs")

                job = await sell(shop, "Persuasion")
                shop.commit()
                print("committed:", await job.result(timeout="20s"))
        finally:
            shop.rollback()
            shop.execute("drop table example_sales, example_bookings")


anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
