"""Batch jobs: a product import that somebody looks at first, with bad rows, and an export that gives the file back."""

import os
from collections.abc import AsyncIterator

import anyio
from catalogue import COLUMNS, make_app

from conveyor import BatchJob, BatchStatus
from conveyor.codec.tables import TableWriter

app = make_app("shop.db")
ROWS = 500
# Row 7 costs less than nothing, row 100 has no price at all, and row 300 has the name of row 299.
BAD = {7: {"price": "-1"}, 100: {"price": "a lot"}, 300: {"name": "Tea no. 299"}}


def products(bad: dict[int, dict[str, str]]) -> bytes:
    """Return a file of products. A spreadsheet would take some names for formulas, so the writer guards them."""
    rows = [
        {"sku": f"tea-{number:04}", "name": f"Tea no. {number}", "price": f"{number / 4:.2f}", "stock": number}
        | ({"name": f"=SUM(A1:A{number})"} if number % 50 == 0 else {})
        | bad.get(number, {})
        for number in range(1, ROWS + 1)
    ]
    writer = TableWriter(COLUMNS)
    return writer.header() + writer.rows(rows)


async def upload(name: str, content: bytes) -> str:
    async def blocks() -> AsyncIterator[bytes]:
        yield content

    return (await app.files.write(name, blocks())).key


async def wait_for(batch: BatchJob, status: BatchStatus) -> BatchJob:
    async with app.batches.events(batch.id) as events:
        async for event in events:
            if event.batch.status is status:
                return event.batch
    raise RuntimeError(f"it is {batch.status}: {batch.error}")


async def main() -> None:
    async with app, app.worker():
        print(await app.batches.template("product-import"))

        # Nothing is written before somebody has looked.
        key = await upload("products.csv", products(BAD))
        batch = await app.batches.create("product-import", {"file": key}, confirmation="manual", created_by="ada")
        batch = await wait_for(batch, BatchStatus.PRE_PROCESSED)
        print("found:", (batch.result or {})["preview"]["counts"])
        await batch.confirm(by="ada")
        await batch.wait_until_ended("30 seconds")
        print(batch.status, {str(outcome): count for outcome, count in batch.counts.items()})
        async for error in batch.errors():
            print(f"row {error.row_number}, {error.column}: {error.message}")

        # The mended file: what is there already is skipped.
        mended = products({})
        batch = await app.batches.create("product-import", {"file": await upload("mended.csv", mended)})
        await batch.wait_until_ended("30 seconds")
        print(batch.status, {str(outcome): count for outcome, count in batch.counts.items()})

        export = await (await app.batches.create("product-export", {})).wait_until_ended("30 seconds")
        async with app.files.read((export.result or {})["file"]) as blocks:
            given_back = b"".join([block async for block in blocks])
        print(export.status, "and the same as the file:", given_back == mended)
        assert given_back == mended


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
