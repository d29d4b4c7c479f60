"""Transactions: a sale and the job that follows it are written together, and a payment completes with its job."""

import os
import sqlite3

import anyio

from conveyor import Conveyor, JobContext
from conveyor.errors import JobFailedError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")


@orders.job()
async def pay(context: JobContext, title: str, price: int) -> str:
    # Leaving the block commits the booking and the end of this job: never one without the other.
    async with context.transaction() as connection:
        await connection.execute("insert into bookings values (?, ?)", title, price)
        row = await connection.fetchrow("select sum(amount) as total from bookings")
        assert row is not None
        if row["total"] > 30:
            raise ValueError("there is no more money")
        await pack.options(connection=connection, job_id=f"parcel of {title}").add(title)
        context.set_result(f"{row['total']} spent")
    return f"{row['total']} spent"


@orders.job()
async def pack(title: str) -> str:
    return f"{title} is packed"


async def main() -> None:
    shop = sqlite3.connect("shop.db")
    shop.execute("pragma journal_mode = wal")
    shop.execute("create table bookings (title text, amount integer)")
    shop.execute("create table carts (title text)")

    async with app, app.worker():
        # The job is there exactly when the caller's own transaction commits.
        shop.execute("insert into carts values ('Emma')")
        sale = await pay.options(connection=shop).add("Emma", 20)
        shop.commit()
        print(await sale.result())

        too_dear = await pay.add("Persuasion", 20)
        try:
            await too_dear.result()
        except JobFailedError as failure:
            print(f"{too_dear.state}: {failure.error}")

        # Nothing of the failed one is left: no booking, and nothing to pack.
        print(shop.execute("select * from bookings").fetchall())
        parcel = await app.jobs.get("parcel of Emma")
        print(await parcel.result())
        print(await orders.count("completed"), "jobs are completed")
    shop.close()


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
