"""The nemesis: does to processes, lines and the store's clock what the plan says, at times of its choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from tests.simulation.plan import HORIZON_SECONDS, LOCK_SECONDS

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.plan import Plan
    from tests.simulation.process import Process
    from tests.simulation.world import World

__all__ = ["Nemesis"]


class Nemesis:
    """One for each run."""

    def __init__(self, world: World, plan: Plan, draw: Random) -> None:
        self._world = world
        self._plan = plan
        self._draw = draw
        self._note = world.history.note

    def start(self, tasks: Any) -> None:
        """Start whatever is planned."""
        plan = self._plan
        deeds = [(plan.freezes, self._freeze), (plan.kills, self._kill), (plan.cuts, self._cut)]
        deeds += [(plan.restarts, self._restart), (plan.jumps, self._jump), (plan.blocks, self._block)]
        deeds += [(plan.interrupts, self._interrupt), (plan.forgets, self._forget)]
        for times, deed in deeds:
            for _ in range(times):
                tasks.start_soon(self._do_once, deed, self._draw.uniform(0, HORIZON_SECONDS))

    async def _do_once(self, deed: Any, at: float) -> None:
        await anyio.sleep(at)
        victims = [process for process in self._world.living if not process.is_gone]
        if victims:
            await deed(self._draw.choice(victims))

    async def _freeze(self, process: Process) -> None:
        await self._stand_still(process, "frozen", "thawed")

    async def _block(self, process: Process) -> None:
        """Let user code block its event loop: its thread goes on."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_thread, process)
            await self._stand_still(process, "blocked", "unblocked")
            tasks.cancel_scope.cancel()

    async def _run_thread(self, process: Process) -> None:
        """Be the thread of a process whose loop does not beat."""
        while not process.is_gone and (watchdog := process.line.watchdog) is not None:
            await anyio.sleep(watchdog.interval_seconds / 2)
            watchdog.look()

    async def _stand_still(self, process: Process, begin: str, end: str) -> None:
        freezer = self._world.freezer
        if process.name in freezer.frozen:
            return
        self._note(begin, process.name)
        freezer.freeze(process.name)
        await anyio.sleep(self._draw.uniform(0.1, 2.5 * LOCK_SECONDS))
        if process in self._world.living:
            self._note(end, process.name)
            freezer.thaw(process.name)

    async def _kill(self, process: Process) -> None:
        """End it as SIGKILL does: nothing of it ever runs again."""
        self._note("killed", process.name)
        self._world.bury(process)
        await anyio.sleep(self._draw.uniform(0, 5))
        self._world.begin_process()

    async def _cut(self, process: Process) -> None:
        """Cut the line: at once, or when the answer of a fetch is on its way; both ways, or one."""
        line = process.line
        is_cut = anyio.Event()

        def cut_off() -> None:
            if line.connected.is_set() and not line.is_dead:
                self._note("cut_off", process.name)
                line.cut_off(is_one_way=self._draw.random() < 0.3)
                is_cut.set()

        if self._draw.random() < 0.5:
            cut_off()
        else:
            line.on_fetched = cut_off
        with anyio.move_on_after(HORIZON_SECONDS - anyio.current_time()):
            await is_cut.wait()
            await anyio.sleep(self._draw.uniform(0.1, 2.5 * LOCK_SECONDS))
        line.on_fetched = None
        if is_cut.is_set():
            line.connect()
            self._note("connected", process.name)

    async def _restart(self, process: Process) -> None:
        self._note("stopping", process.name)
        process.stop()
        await anyio.sleep(self._draw.uniform(0, 5))
        self._world.begin_process()

    async def _interrupt(self, process: Process) -> None:
        """Cancel the whole program, as a second signal does: at once, or while it writes."""
        is_over = anyio.Event()

        def interrupt(name: str = "") -> bool:
            if name not in wanted or is_over.is_set():
                return False
            self._note("interrupted", process.name)
            process.scope.cancel()
            is_over.set()
            return True

        wanted = self._draw.choice((("",), ("append_logs",), ("settle_jobs", "release_locks")))
        if not interrupt():
            process.line.on_called = interrupt
            with anyio.move_on_after(max(0.0, HORIZON_SECONDS - anyio.current_time())):
                await is_over.wait()
            process.line.on_called = None
        if not is_over.is_set():
            return
        await anyio.sleep(self._draw.uniform(0, 5))
        self._world.begin_process()

    async def _jump(self, process: Process) -> None:
        del process
        seconds = self._draw.uniform(1, 3 * LOCK_SECONDS) * self._draw.choice((1, 1, -1))
        self._note("jumped", detail=f"{seconds:.1f} s")
        self._world.history.clock_offset += seconds

    async def _forget(self, process: Process) -> None:
        await self._world.sessions.forget(process.name)
