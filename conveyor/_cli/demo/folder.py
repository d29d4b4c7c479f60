"""The demo's working folder: which file in it is what."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

__all__ = ["Folder"]


@frozen
class Folder:
    """A folder that holds everything one demo writes."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite file with the jobs."""
        return self.path / "jobs.db"

    @property
    def ledger(self) -> Path:
        """What every process wrote down."""
        return self.path / "ledger.txt"

    def worker_log(self, number: int) -> Path:
        """What a worker process said on standard error."""
        return self.path / f"worker-{number}.log"
