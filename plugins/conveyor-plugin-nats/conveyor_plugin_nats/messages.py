"""Messages of the stream and values of the model: what stands in which header.

The body of a job is its payload and nothing else, so that other programs can read it. What conveyor knows of the job
stands in one header, what it knows of its runs in another, both as JSON of ASCII characters.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from conveyor.codec import decode_options, encode_options
from conveyor.model.job import ErrorInfo, JobData, NewJob
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

__all__ = ["JOB", "Headers", "Record", "digest_of", "job_header", "job_of", "record_of", "same_add", "shortened", "ttl"]

JOB: Final = "Conveyor-Job"
RUN: Final = "Conveyor-Run"
LONGEST_ERROR: Final = 1_000
LONGEST_TRACEBACK: Final = 2_000

Headers = dict[str, str]


@frozen
class Record:
    """What is known of the runs of a job, or of its end.

    Attributes:
        state: ACTIVE while a run goes on, WAITING or DELAYED between two, or how the job ended.
        attempts_made: runs that ended and counted.
        ends: deliveries that ended in a way that is known; each other one of those before the present was a stall.
        writer: names the delivery that wrote it, so that its writer knows it again when the answer was lost.
        at: when it was written.
        due_at: when the job is to be delivered again; None: at once.
        error: why it failed or was cancelled.
    """

    state: JobState
    attempts_made: int = 0
    ends: int = 0
    writer: str = ""
    at: datetime | None = field(default=None)
    due_at: datetime | None = None
    error: ErrorInfo | None = None

    def headers(self, job: str) -> Headers:
        """Return the headers of a message with this record, for a job that is described by its own header."""
        shown: dict[str, Any] = {
            "state": self.state,
            "attempts_made": self.attempts_made,
            "ends": self.ends,
            "writer": self.writer,
            "at": _written(self.at),
            "due_at": _written(self.due_at),
        }
        if self.error is not None:
            shown["error"] = [self.error.type, self.error.message, self.error.traceback]
        return {JOB: job, RUN: _ascii({key: value for key, value in shown.items() if value is not None})}


def job_header(job: NewJob, created_at: datetime, run_at: datetime, expires_at: datetime | None) -> str:
    """Return what describes a job beside its payload."""
    options = encode_options(job.options)
    shown = {
        "id": job.id,
        "queue": job.queue_name,
        "name": job.name,
        "options": None if options is None else json.loads(options),
        "created_at": _written(created_at),
        "run_at": _written(run_at),
        "expires_at": _written(expires_at),
        "digest": same_add(job),
    }
    return _ascii({key: value for key, value in shown.items() if value is not None})


def same_add(job: NewJob) -> str:
    """Return what two adds have in common that add the same job: a digest of its name, its queue and its payload."""
    digest = blake2b(job.payload, digest_size=16, key=blake2b(_ascii([job.queue_name, job.name]).encode()).digest())
    return digest.hexdigest()


def digest_of(headers: Mapping[str, str]) -> str:
    """Return the digest that a message of a job carries."""
    digest: str = json.loads(headers[JOB])["digest"]
    return digest


def record_of(headers: Mapping[str, str]) -> Record | None:
    """Return what a message knows of the runs of its job; None: there was none yet."""
    if RUN not in headers:
        return None
    shown = json.loads(headers[RUN])
    error = shown.get("error")
    return Record(
        JobState(shown["state"]),
        shown["attempts_made"],
        shown["ends"],
        shown["writer"],
        _read(shown.get("at")),
        _read(shown.get("due_at")),
        None if error is None else ErrorInfo(*error),
    )


def job_of(headers: Mapping[str, str], payload: bytes, state: JobState) -> JobData:
    """Return the job that a message describes."""
    shown = json.loads(headers[JOB])
    options = decode_options(_ascii(shown["options"]).encode() if "options" in shown else None)
    created_at = datetime.fromisoformat(shown["created_at"])
    return JobData(
        id=shown["id"],
        queue_name=shown["queue"],
        name=shown["name"],
        payload=payload,
        options=options,
        state=state,
        priority=options.priority,
        attempts_made=0,
        stalled_count=0,
        created_at=created_at,
        run_at=_read(shown.get("run_at")) or created_at,
        expires_at=_read(shown.get("expires_at")),
    )


def shortened(error: ErrorInfo | None) -> ErrorInfo | None:
    """Return an error as a header can hold it: the end of a traceback says most."""
    if error is None:
        return None
    return evolve(error, message=error.message[:LONGEST_ERROR], traceback=error.traceback[-LONGEST_TRACEBACK:])


def ttl(kept_for: timedelta) -> Headers:
    """Return the header of a message that is kept for so long; JetStream counts whole seconds."""
    return {"Nats-TTL": f"{max(1, round(kept_for.total_seconds()))}s"}


def _ascii(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
