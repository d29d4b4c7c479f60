"""A notebook: the app is opened in one cell, used in others, and closed in the last.

Each cell is a task of its own, so `async with app:` ends with its cell. The notebook's event loop goes on between
cells, and `app.open_in` keeps the app open in it. Run as a program, this plays the cells as IPython does.
"""

import asyncio
from tempfile import TemporaryDirectory

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

CELLS = [
    """
import asyncio
from conveyor import Conveyor

app = Conveyor("sqlite:///notebook.db")

@app.queue("sums").job()
async def add_up(numbers: list[int]) -> int:
    return sum(numbers)
""",
    """
# A worker ends its process if the event loop stands still for a minute, which a long cell may well do.
opened = await app.open_in(asyncio.get_running_loop(), app.worker(max_unresponsive="1 day"))
""",
    """
jobs = await add_up.add_many([add_up.new([1, 2, 3]), add_up.new([40, 2])])
""",
    """
print([await job.result(timeout="10s") for job in jobs])
""",
    """
await opened.close()
""",
]


async def main() -> None:
    with TemporaryDirectory() as folder:
        shell = InteractiveShell.instance(ipython_dir=folder, config=Config(HistoryManager={"enabled": False}))
        for cell in CELLS:
            played = await asyncio.create_task(shell.run_cell_async(cell, transformed_cell=cell))
            if not played.success:
                raise SystemExit(f"this cell failed:\n{cell}")


if __name__ == "__main__":
    asyncio.run(main())
