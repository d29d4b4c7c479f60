"""The whole exception tree: every error conveyor raises on purpose.

ConveyorError
├─ ConfigurationError            before any I/O
│  ├─ UnknownStrategyError       no strategy of that name or scheme
│  ├─ PluginError                a selected plugin is broken
│  └─ CapabilityError            the store cannot do what was asked
├─ JobError
│  ├─ JobNotFoundError
│  │  └─ JobInBufferError        it waits in a buffer, or went into another job
│  ├─ InvalidJobStateError       the command is not legal in this state
│  ├─ AddRefusedError            it was not added
│  │  ├─ DuplicateJobError       the id is taken by another job
│  │  └─ GroupFullError          as many jobs of its group wait as may
│  ├─ UnknownHandlerError        no handler of that name
│  ├─ PayloadError               arguments or a result do not fit
│  ├─ LockLostError              another run owns the job
│  ├─ ProcessHandlerError        a handler raised in a process of its own
│  ├─ ProcessDiedError           a handler took its process down
│  └─ JobFailedError             what ``result()`` raises for a job that did not complete
├─ ScheduleError
│  └─ ScheduleNotFoundError      no schedule of that id
├─ FlowError                     no flow can be made of what was given
├─ BufferError                   a buffer cannot collect, reduce or flush
│  └─ BufferTakeLostError        another flush has the jobs by now, or one of them is gone
├─ BatchJobError
│  ├─ BatchJobNotFoundError      no batch job of that id
│  ├─ InvalidBatchStatusError    the command is not legal in this status
│  ├─ DuplicateBatchJobError     the same is there already
│  ├─ BatchStoppedError          its run is to stop: strategies let it pass
│  ├─ BatchPartFailedError       a part of it failed in a job of its own
│  ├─ BatchRunLostError          another run processes it by now
│  ├─ BadRowError                one of its rows is wrong
│  ├─ BadFileError               its file is no table
│  ├─ StoredFileNotFoundError    no stored file of that key
│  └─ TooManyBadRowsError        more than its strategy allows
├─ StoreError                    the driver's error is always ``__cause__``
│  ├─ StoreUnavailableError      transient: core retries
│  ├─ ConstraintError(kind, columns)    a constraint of a table refuses what was to be written
│  ├─ SessionLostError           the store knows no such worker session: core opens it again
│  └─ SchemaError                run: conveyor store migrate
└─ ConveyorInternalError         our bug
"""

from __future__ import annotations

from conveyor.errors.batches import (
    BadFileError,
    BadRowError,
    BatchJobError,
    BatchJobNotFoundError,
    BatchPartFailedError,
    BatchRunLostError,
    BatchStoppedError,
    DuplicateBatchJobError,
    InvalidBatchStatusError,
    StoredFileNotFoundError,
    TooManyBadRowsError,
)
from conveyor.errors.configuration import (
    CapabilityError,
    ConfigurationError,
    ConveyorError,
    ConveyorInternalError,
    PluginError,
    UnknownStrategyError,
    did_you_mean,
)
from conveyor.errors.jobs import (
    AddRefusedError,
    DuplicateJobError,
    GroupFullError,
    InvalidJobStateError,
    JobError,
    JobFailedError,
    JobInBufferError,
    JobNotFoundError,
    LockLostError,
    PayloadError,
    ProcessDiedError,
    ProcessHandlerError,
    UnknownHandlerError,
)
from conveyor.errors.nouns import BufferError, BufferTakeLostError, FlowError, ScheduleError, ScheduleNotFoundError
from conveyor.errors.stores import ConstraintError, SchemaError, SessionLostError, StoreError, StoreUnavailableError

__all__ = [
    "AddRefusedError",
    "BadFileError",
    "BadRowError",
    "BatchJobError",
    "BatchJobNotFoundError",
    "BatchPartFailedError",
    "BatchRunLostError",
    "BatchStoppedError",
    "BufferError",
    "BufferTakeLostError",
    "CapabilityError",
    "ConfigurationError",
    "ConstraintError",
    "ConveyorError",
    "ConveyorInternalError",
    "DuplicateBatchJobError",
    "DuplicateJobError",
    "FlowError",
    "GroupFullError",
    "InvalidBatchStatusError",
    "InvalidJobStateError",
    "JobError",
    "JobFailedError",
    "JobInBufferError",
    "JobNotFoundError",
    "LockLostError",
    "PayloadError",
    "PluginError",
    "ProcessDiedError",
    "ProcessHandlerError",
    "ScheduleError",
    "ScheduleNotFoundError",
    "SchemaError",
    "SessionLostError",
    "StoreError",
    "StoreUnavailableError",
    "StoredFileNotFoundError",
    "TooManyBadRowsError",
    "UnknownHandlerError",
    "UnknownStrategyError",
    "did_you_mean",
]
