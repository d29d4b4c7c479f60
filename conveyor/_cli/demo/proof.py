"""The proof, a process of its own: ``python -m conveyor._cli.demo.proof FOLDER`` counts and compares, and exits 1
where ledger and database disagree.

It opens the database with sqlite3 and reads the tables by itself: a proof through conveyor would prove nothing.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import asdict

from conveyor._cli.demo.audit import Audit, Books, Verdict
from conveyor._cli.demo.folder import Folder
from conveyor._cli.demo.ledger import LedgerReader

__all__ = ["main", "prove", "read_books"]

_LIVE: Final = "select id from conveyor_live join conveyor_jobs using (seq)"
_SETTLED: Final = """
select jobs.id, state, session_id || '.' || fetch_number
from conveyor_history join conveyor_jobs as jobs using (seq)
"""
_ENDED: Final = "select job_id, session_id || '.' || fetch_number, outcome from conveyor_attempts"


def read_books(database: Path) -> Books:
    """Read the store's tables, read-only."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("begin")  # one snapshot for all three
        return Books(
            live=frozenset(job_id for (job_id,) in connection.execute(_LIVE)),
            settled={job_id: (state, run or "") for job_id, state, run in connection.execute(_SETTLED)},
            ended={(job_id, run): outcome for job_id, run, outcome in connection.execute(_ENDED)},
        )


def prove(folder: Folder) -> Verdict:
    """Compare the folder's ledger with its database."""
    reader = LedgerReader(folder.ledger)
    entries = reader.read()
    torn = int(reader.offset != folder.ledger.stat().st_size)
    return Audit(entries, reader.unreadable_count + torn, read_books(folder.database)).verdict()


def main() -> int:
    """Prove the folder named on the command line; print JSON."""
    verdict = prove(Folder(Path(sys.argv[1])))
    sys.stdout.write(json.dumps(asdict(verdict) | {"agree": verdict.agree}, indent=2) + "\n")
    return 0 if verdict.agree else 1


if __name__ == "__main__":
    sys.exit(main())
