"""Many products are saved, and few jobs renew the search index: a buffer unites what is to be done."""

import os

import anyio

from conveyor import Conveyor, Job, JobBuffer, chunk, union

SAVES = 500
PRODUCTS = 100
AT_ONCE = 200

app = Conveyor("sqlite:///shop.db")
search = app.queue("search")


@search.job()
async def reindex_products(product_ids: list[int]) -> int:
    # One request to the search engine for all of them.
    return len(product_ids)


app.buffers.add_buffer(
    JobBuffer(
        "reindexing",
        collect=lambda job: job.name == "reindex_products",
        reduce=chunk(AT_ONCE, union("product_ids")),
        max_age="1 second",
    )
)


async def save_product(number: int) -> Job[int]:
    # The product itself is written here; each save asks for its own entry alone.
    return await reindex_products.add([number])


async def main() -> None:
    async with app, app.worker():
        jobs = [await save_product(number % PRODUCTS) for number in range(SAVES)]
        print(await app.buffers.buffer_size())
        # Nobody has to flush by hand: after a second the oldest is old enough.
        sizes = [await job.result(timeout="30s") for job in jobs]
        runs = {job.merged_into or job.id for job in jobs}
        print(f"{len(jobs)} jobs were done by {len(runs)} runs, of {max(sizes)} products at most")
        assert len(runs) < SAVES / 10


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
