"""A script without an event loop: it adds jobs from several threads and waits for their results."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from conveyor import Conveyor

app = Conveyor("memory://")
files = app.queue("files")


@files.job()
def count_words(text: str) -> int:
    return len(text.split())


TEXTS = ["one", "one and two", "one and two and three"]


def main() -> None:
    backend: Literal["asyncio", "trio"] = "trio" if os.environ.get("BACKEND") == "trio" else "asyncio"
    with app.sync_producer(app.worker(), backend=backend) as producer, ThreadPoolExecutor() as threads:
        for text, job in zip(TEXTS, threads.map(lambda text: producer.add(count_words, text), TEXTS), strict=True):
            print(f"{text}: {producer.result(job, timeout='10s')}")

        jobs = producer.add_many([count_words.new(text) for text in TEXTS])
        print(
            sum(producer.result(job, timeout="10s") for job in jobs),
            "words in",
            producer.call(files.count, "completed"),
            "jobs",
        )


if __name__ == "__main__":
    main()
