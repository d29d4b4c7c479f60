"""Background jobs for trio and asyncio programs: the front door.

Names are imported when they are first used, so that ``import conveyor`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from conveyor._app import Conveyor as Conveyor
    from conveyor._app import run as run
    from conveyor._builtin.memory_buffer import InMemoryJobBufferStorageStrategy as InMemoryJobBufferStorageStrategy
    from conveyor._cli.discovery import operated_app as operated_app
    from conveyor._handles.batch_job import BatchEvent as BatchEvent
    from conveyor._handles.batch_job import BatchEventKind as BatchEventKind
    from conveyor._handles.batch_job import BatchJob as BatchJob
    from conveyor._handles.events import Event as Event
    from conveyor._handles.events import EventStream as EventStream
    from conveyor._handles.handler import JobHandler as JobHandler
    from conveyor._handles.job import Job as Job
    from conveyor._handles.open_app import OpenApp as OpenApp
    from conveyor._handles.queue import Queue as Queue
    from conveyor._handles.sync_producer import SyncProducer as SyncProducer
    from conveyor._plugins import Plugins as Plugins
    from conveyor._services.context import JobContext as JobContext
    from conveyor.codec.encryption import AesGcmCodec as AesGcmCodec
    from conveyor.codec.tables.columns import column as column
    from conveyor.contracts.batch_job import AbstractBatchJobStrategy as AbstractBatchJobStrategy
    from conveyor.contracts.batch_job import BatchJobService as BatchJobService
    from conveyor.contracts.middleware import Middleware as Middleware
    from conveyor.contracts.row_batches import FileParams as FileParams
    from conveyor.contracts.row_batches import FileRows as FileRows
    from conveyor.contracts.row_batches import PagedRows as PagedRows
    from conveyor.contracts.row_batches import RowBatchStrategy as RowBatchStrategy
    from conveyor.contracts.row_batches import RowContext as RowContext
    from conveyor.errors import BadRowError as BadRowError
    from conveyor.errors import ConveyorError as ConveyorError
    from conveyor.hookspecs import hookimpl as hookimpl
    from conveyor.model.batch_options import BatchOptions as BatchOptions
    from conveyor.model.batches.policy import ErrorPolicy as ErrorPolicy
    from conveyor.model.batches.rows import RowPreview as RowPreview
    from conveyor.model.batches.status import BatchStatus as BatchStatus
    from conveyor.model.batches.values import Confirmation as Confirmation
    from conveyor.model.batches.values import RowError as RowError
    from conveyor.model.batches.values import RowFault as RowFault
    from conveyor.model.batches.values import RowOutcome as RowOutcome
    from conveyor.model.buffers.job_buffer import JobBuffer as JobBuffer
    from conveyor.model.buffers.reducing import chunk as chunk
    from conveyor.model.buffers.reducing import dedupe as dedupe
    from conveyor.model.buffers.reducing import last_wins as last_wins
    from conveyor.model.buffers.reducing import union as union
    from conveyor.model.deduplication import Deduplication as Deduplication
    from conveyor.model.error_groups import ErrorGroupFilter as ErrorGroupFilter
    from conveyor.model.events import EventKind as EventKind
    from conveyor.model.flows import Flow as Flow
    from conveyor.model.groups import Group as Group
    from conveyor.model.job import NewJob as NewJob
    from conveyor.model.job import Progress as Progress
    from conveyor.model.limits import GroupLimits as GroupLimits
    from conveyor.model.limits import NameLimits as NameLimits
    from conveyor.model.limits import RateLimit as RateLimit
    from conveyor.model.outcomes import Cancel as Cancel
    from conveyor.model.outcomes import Completed as Completed
    from conveyor.model.outcomes import Failed as Failed
    from conveyor.model.outcomes import Retry as Retry
    from conveyor.model.outcomes import Snooze as Snooze
    from conveyor.model.outcomes import Stop as Stop
    from conveyor.model.outcomes import WaitForChildren as WaitForChildren
    from conveyor.model.queries import JobFilter as JobFilter
    from conveyor.model.retention import Retention as Retention
    from conveyor.model.retry import Backoff as Backoff
    from conveyor.model.retry import by_name as by_name
    from conveyor.model.retry import exponential as exponential
    from conveyor.model.retry import fixed as fixed
    from conveyor.model.schedules.values import Missed as Missed
    from conveyor.model.states import JobState as JobState

__version__: Final = "0.1.0.dev0"

_HOMES: Final = {
    "AbstractBatchJobStrategy": "conveyor.contracts.batch_job",
    "AesGcmCodec": "conveyor.codec.encryption",
    "Backoff": "conveyor.model.retry",
    "BadRowError": "conveyor.errors",
    "BatchEvent": "conveyor._handles.batch_job",
    "BatchEventKind": "conveyor._handles.batch_job",
    "BatchJob": "conveyor._handles.batch_job",
    "BatchJobService": "conveyor.contracts.batch_job",
    "BatchOptions": "conveyor.model.batch_options",
    "BatchStatus": "conveyor.model.batches.status",
    "Cancel": "conveyor.model.outcomes",
    "Completed": "conveyor.model.outcomes",
    "Confirmation": "conveyor.model.batches.values",
    "Conveyor": "conveyor._app",
    "ConveyorError": "conveyor.errors",
    "Deduplication": "conveyor.model.deduplication",
    "ErrorGroupFilter": "conveyor.model.error_groups",
    "ErrorPolicy": "conveyor.model.batches.policy",
    "Event": "conveyor._handles.events",
    "EventKind": "conveyor.model.events",
    "EventStream": "conveyor._handles.events",
    "Failed": "conveyor.model.outcomes",
    "FileParams": "conveyor.contracts.row_batches",
    "FileRows": "conveyor.contracts.row_batches",
    "Flow": "conveyor.model.flows",
    "Group": "conveyor.model.groups",
    "GroupLimits": "conveyor.model.limits",
    "InMemoryJobBufferStorageStrategy": "conveyor._builtin.memory_buffer",
    "Job": "conveyor._handles.job",
    "JobBuffer": "conveyor.model.buffers.job_buffer",
    "JobContext": "conveyor._services.context",
    "JobFilter": "conveyor.model.queries",
    "JobHandler": "conveyor._handles.handler",
    "JobState": "conveyor.model.states",
    "Middleware": "conveyor.contracts.middleware",
    "Missed": "conveyor.model.schedules.values",
    "NameLimits": "conveyor.model.limits",
    "NewJob": "conveyor.model.job",
    "OpenApp": "conveyor._handles.open_app",
    "PagedRows": "conveyor.contracts.row_batches",
    "Plugins": "conveyor._plugins",
    "Progress": "conveyor.model.job",
    "Queue": "conveyor._handles.queue",
    "RateLimit": "conveyor.model.limits",
    "Retention": "conveyor.model.retention",
    "Retry": "conveyor.model.outcomes",
    "RowBatchStrategy": "conveyor.contracts.row_batches",
    "RowContext": "conveyor.contracts.row_batches",
    "RowError": "conveyor.model.batches.values",
    "RowFault": "conveyor.model.batches.values",
    "RowOutcome": "conveyor.model.batches.values",
    "RowPreview": "conveyor.model.batches.rows",
    "Snooze": "conveyor.model.outcomes",
    "Stop": "conveyor.model.outcomes",
    "SyncProducer": "conveyor._handles.sync_producer",
    "WaitForChildren": "conveyor.model.outcomes",
    "by_name": "conveyor.model.retry",
    "chunk": "conveyor.model.buffers.reducing",
    "column": "conveyor.codec.tables.columns",
    "dedupe": "conveyor.model.buffers.reducing",
    "exponential": "conveyor.model.retry",
    "fixed": "conveyor.model.retry",
    "hookimpl": "conveyor.hookspecs",
    "last_wins": "conveyor.model.buffers.reducing",
    "operated_app": "conveyor._cli.discovery",
    "run": "conveyor._app",
    "union": "conveyor.model.buffers.reducing",
}

__all__ = [
    "AbstractBatchJobStrategy",
    "AesGcmCodec",
    "Backoff",
    "BadRowError",
    "BatchEvent",
    "BatchEventKind",
    "BatchJob",
    "BatchJobService",
    "BatchOptions",
    "BatchStatus",
    "Cancel",
    "Completed",
    "Confirmation",
    "Conveyor",
    "ConveyorError",
    "Deduplication",
    "ErrorGroupFilter",
    "ErrorPolicy",
    "Event",
    "EventKind",
    "EventStream",
    "Failed",
    "FileParams",
    "FileRows",
    "Flow",
    "Group",
    "GroupLimits",
    "InMemoryJobBufferStorageStrategy",
    "Job",
    "JobBuffer",
    "JobContext",
    "JobFilter",
    "JobHandler",
    "JobState",
    "Middleware",
    "Missed",
    "NameLimits",
    "NewJob",
    "OpenApp",
    "PagedRows",
    "Plugins",
    "Progress",
    "Queue",
    "RateLimit",
    "Retention",
    "Retry",
    "RowBatchStrategy",
    "RowContext",
    "RowError",
    "RowFault",
    "RowOutcome",
    "RowPreview",
    "Snooze",
    "Stop",
    "SyncProducer",
    "WaitForChildren",
    "__version__",
    "by_name",
    "chunk",
    "column",
    "dedupe",
    "exponential",
    "fixed",
    "hookimpl",
    "last_wins",
    "operated_app",
    "run",
    "union",
]

if not TYPE_CHECKING:  # or every misspelt name would be there for type checkers, too

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'conveyor' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
