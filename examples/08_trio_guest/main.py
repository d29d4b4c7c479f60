"""Trio as a guest: jobs run on trio inside a program whose own loop, such as a window's, must stay in charge.

The host's loop here is a queue of callbacks. In a GUI it is the toolkit's: `run_sync_soon_threadsafe` becomes its
way of calling a function from another thread, and `closed` becomes its quit.
"""

import queue
from collections.abc import Callable

import trio
from outcome import Outcome

from conveyor import Conveyor

app = Conveyor("memory://")
orders = app.queue("orders")


@orders.job()
async def pack(order: int) -> str:
    await trio.sleep(0.01)
    return f"order {order} is packed"


class Window:
    """A loop that knows nothing of trio: it calls what is in its queue until it is closed."""

    def __init__(self) -> None:
        self.callbacks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.labels: list[str] = []

    def show(self, text: str) -> None:
        """Show a line of text."""
        self.labels.append(text)
        print(text)

    def mainloop(self) -> None:
        """Call what comes, until the window is closed."""
        while (callback := self.callbacks.get()) is not None:
            callback()


async def trio_main(window: Window) -> None:
    async with app, app.worker():
        for order in (1, 2, 3):
            job = await pack.add(order)
            # The guest runs in the host's thread: it may touch the window.
            window.show(await job.result(timeout="10s"))


def main() -> None:
    window = Window()
    outcomes: list[Outcome[None]] = []

    def closed(outcome: Outcome[None]) -> None:
        outcomes.append(outcome)
        window.callbacks.put(None)

    trio.lowlevel.start_guest_run(
        trio_main, window, run_sync_soon_threadsafe=window.callbacks.put, done_callback=closed
    )
    window.mainloop()
    outcomes[0].unwrap()


if __name__ == "__main__":
    main()
