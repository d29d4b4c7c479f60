"""The smallest program: add a job, let a worker run it, print what it returned."""

import os

import anyio

from conveyor import Conveyor

app = Conveyor("memory://")
emails = app.queue("emails")


@emails.job(attempts=5, timeout="30s")
async def send_welcome(to: str, locale: str = "en") -> str:
    return f"sent to {to} in {locale}"


async def main() -> None:
    async with app, app.worker():
        job = await send_welcome.add("ada@example.com")
        print(await job.result(timeout="10s"))


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
