"""The processes of one worker's handlers: started when they are first needed, reused, and ended with the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from conveyor._runtime.processes.process import HandlerProcess
from conveyor._services.importing import place_of
from conveyor.errors import ProcessDiedError
from conveyor.model.outcomes import Completed, Failed
from conveyor.model.remote_runs import RunOrder, outcome_of

if TYPE_CHECKING:
    from conveyor._services.context import JobContext
    from conveyor._services.handlers import Handler
    from conveyor.model.job import JobData
    from conveyor.model.remote_runs import RunEnd

__all__ = ["HandlerProcesses"]


class HandlerProcesses:
    """There are as many as there are such jobs at once, so at most one for each slot."""

    def __init__(self) -> None:
        """Start none."""
        self._idle: list[HandlerProcess] = []

    async def call(self, job: JobData, handler: Handler, context: JobContext) -> object:
        """Run a job's handler in a process, and return its result or outcome.

        Where the run is cancelled, its process is killed.

        Raises:
            ProcessDiedError: the process ended before its handler did.
            ProcessHandlerError: what the handler raised.
        """
        end = await self._run(RunOrder(*place_of(handler.function), job), context)
        value = None if end.result is None else handler.decode_result(end.result)
        match outcome_of(end, value, job):
            case Completed(value=value):
                return value
            case Failed(error=error, retry=True):
                raise error
            case outcome:
                return outcome

    async def close(self) -> None:
        """End those that wait for work; those that work are ended by their runs."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                while self._idle:
                    tasks.start_soon(self._idle.pop().close, name="conveyor end of a process")

    async def _run(self, order: RunOrder, context: JobContext) -> RunEnd:
        while self._idle:
            process = self._idle.pop()
            try:
                return await self._run_in(process, order, context)
            except ProcessDiedError:
                # It died while it waited for work, by nobody's fault: the job did not even begin.
                if process.has_begun:
                    raise
        return await self._run_in(await HandlerProcess.start(), order, context)

    async def _run_in(self, process: HandlerProcess, order: RunOrder, context: JobContext) -> RunEnd:
        is_whole = False
        try:
            end = await process.run(order, context)
            is_whole = True
        finally:
            if is_whole:
                self._idle.append(process)
            else:
                await process.kill()
        return end
