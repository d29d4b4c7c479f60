"""Names in NATS: the stream's subjects, and the consumer of each queue.

Every job has up to five subjects, ``STREAM.KIND.QUEUE.ID``, so that a wildcard for the kind and the queue finds all
that is known of an id, and the server can refuse a write unless its writer has seen the latest of it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import blake2b
from typing import Final

__all__ = ["Kind", "all_of_job", "consumer_name", "subject", "waiting_in", "word"]

LONGEST_WORD: Final = 120
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_PLAIN_WORD: Final = re.compile(rf"[a-zA-Z0-9_-]{{0,{LONGEST_WORD}}}")


class Kind(StrEnum):
    """What a message of the stream is.

    JOB: a job to run now, or one that runs. LATER: one that becomes a JOB at its time. RUN: what is known of the runs
    that it had, where there was more than one. DONE: how a job ended that completed or was cancelled. DEAD: a job that
    failed for good, with its arguments.
    """

    JOB = "job"
    LATER = "later"
    RUN = "run"
    DONE = "done"
    DEAD = "dead"


def word(text: str) -> str:
    """Return text as one token of a subject: other bytes than letters, digits, - and _ as =XX, long text as a digest.

    >>> word("e-mails.eu")
    'e-mails=2Eeu'
    """
    if _PLAIN_WORD.fullmatch(text):
        # Nearly all, several times for each job.
        return text
    token = "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in text.encode())
    # A digest has an = that nothing else has: two of them.
    return token if len(token) <= LONGEST_WORD else f"=={blake2b(text.encode(), digest_size=32).hexdigest()}"


def subject(stream: str, kind: Kind, queue_name: str, job_id: str) -> str:
    """Return where a message of a job stands."""
    return f"{stream}.{kind}.{word(queue_name)}.{word(job_id)}"


def all_of_job(stream: str, job_word: str) -> str:
    """Return the wildcard for everything that is known of a job, in whichever queue: ids are unique over all."""
    return f"{stream}.*.*.{job_word}"


def waiting_in(stream: str, queue_name: str) -> str:
    """Return the wildcard for the jobs of a queue that wait or run."""
    return f"{stream}.{Kind.JOB}.{word(queue_name)}.*"


def consumer_name(queue_name: str) -> str:
    """Return the name of the consumer that all workers of a queue share."""
    return word(queue_name)
