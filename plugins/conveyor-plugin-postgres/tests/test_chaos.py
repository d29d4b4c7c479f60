"""Chaos, bounded: workers killed and stopped, connections cut, the server restarted and crashed, while jobs are added.

Afterwards what the processes noted in a file of their own is compared with what the database says.
``CONVEYOR_CHAOS_SECONDS=3600`` makes it as long as that; ``CONVEYOR_CHAOS_SEED`` repeats its order of blows.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from server import Server, needs_binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM: Final = Path(__file__).with_name("chaos_program.py")
SECONDS: Final = float(os.environ.get("CONVEYOR_CHAOS_SECONDS", "60"))
CALM_SECONDS: Final = 90
STOPPED_SECONDS: Final = 4.5  # twice the lock and more
STEP_SECONDS: Final = 0.5
# Who hands a job back leaves no record of the run: its attempt does not count. So the test's own is kept.
HANDED_BACK: Final = """
create table handed_back (job_id text, token text);
create function note_hand_back() returns trigger language plpgsql as $$
begin
  insert into handed_back values (old.id, old.session_id || '-' || old.fetch_number);
  return null;
end
$$;
create trigger note_hand_back after update of state on conveyor.live
for each row when (old.state = 'active' and new.state = 'waiting' and new.stalled_count = old.stalled_count
  and new.attempts_made = old.attempts_made)
execute function note_hand_back()
"""
RECORDS: Final = """
select id, session_id || '-' || fetch_number, outcome, state from conveyor.history
union all
select job_id, session_id || '-' || fetch_number, outcome, null from conveyor.attempts
"""


class Chaos:
    """The processes, the server, and what happens to them."""

    def __init__(self, server: Server, folder: Path, seed: int) -> None:
        self._server = server
        self._folder = folder
        self._random = random.Random(seed)
        self.ledger = folder / "ledger"
        self.blows: Counter[str] = Counter()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._stopped: list[tuple[float, subprocess.Popen[bytes]]] = []
        self._started = 0

    def start(self, role: str) -> subprocess.Popen[bytes]:
        """Start a process, on asyncio and on trio by turns."""
        self._started += 1
        backend = ("asyncio", "trio")[self._started % 2]
        arguments = [sys.executable, str(PROGRAM), role, backend, self._server.url, str(self.ledger)]
        with (self._folder / f"{role}-{self._started}-{backend}.log").open("wb") as log:
            return subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def run(self) -> None:
        """Let it happen, then let it become calm."""
        self._workers = [self.start("worker") for _ in range(3)]
        producers = [self.start("producer") for _ in range(2)]
        try:
            ends_at = time.monotonic() + SECONDS
            step = 0
            while time.monotonic() < ends_at:
                step += 1
                self._strike(step)
                self._let_go_on()
                time.sleep(STEP_SECONDS)
            self._let_go_on(is_last=True)
            for process in producers:
                self._end(process)
            self._wait_for_calm()
            for process in self._workers:
                self._end(process)
        finally:
            for process in (*producers, *self._workers):
                if process.poll() is None:
                    process.kill()
                process.wait()

    def _strike(self, step: int) -> None:
        self._cut_connections()
        if step % 5 == 0:
            victim = self._workers.pop(self._random.randrange(len(self._workers)))
            self._note_ended(victim)
            victim.kill()
            victim.wait()
            self._stopped = [(at, process) for at, process in self._stopped if process is not victim]
            self._workers.append(self.start("worker"))
            self.blows["workers killed"] += 1
        if step % 12 == 3:
            victim = self._random.choice(self._workers)
            victim.send_signal(signal.SIGSTOP)
            self._stopped.append((time.monotonic() + STOPPED_SECONDS, victim))
            self.blows["workers stopped"] += 1
        if step % 24 == 10:
            self._server.stop("fast")
            self._server.start()
            self.blows["server restarts"] += 1
        if step % 24 == 22:
            self._server.crash()
            time.sleep(self._random.random())
            self._server.start_after_crash()
            self.blows["server crashes"] += 1

    def _cut_connections(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True, connect_timeout=5) as connection:
            pids = connection.execute("select pid from pg_stat_activity where application_name = 'conveyor'").fetchall()
            for (pid,) in self._random.sample(pids, min(2, len(pids))):
                connection.execute("select pg_terminate_backend(%s)", [pid])
                self.blows["connections cut"] += 1

    def _let_go_on(self, *, is_last: bool = False) -> None:
        for at, process in self._stopped:
            if is_last or at < time.monotonic():
                process.send_signal(signal.SIGCONT)
        self._stopped = [] if is_last else [(at, p) for at, p in self._stopped if at >= time.monotonic()]

    def _wait_for_calm(self) -> None:
        ends_at = time.monotonic() + CALM_SECONDS
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            while (left := connection.execute("select state, count(*) from conveyor.live group by 1").fetchall()) != []:
                assert time.monotonic() < ends_at, f"stuck after {CALM_SECONDS} s of calm: {left}; {self.said()}"
                time.sleep(0.1)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._note_ended(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0, self.said()

    def _note_ended(self, process: subprocess.Popen[bytes]) -> None:
        assert process.poll() is None, f"a process ended by itself, with {process.returncode}: {self.said()}"

    def said(self) -> str:
        """Return what the processes said."""
        return "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in self._folder.glob("*.log"))


@pytest.fixture
def server() -> Iterator[Server]:
    needs_binaries()
    server = Server()
    try:
        server.make()
        yield server
    finally:
        server.remove()


@pytest.mark.timeout(SECONDS + CALM_SECONDS + 120)
def test_chaos_loses_nothing_and_settles_nothing_twice(
    server: Server, make_cleaner: Callable[[str], Any], tmp_path: Path
) -> None:
    seed = int(os.environ.get("CONVEYOR_CHAOS_SEED") or random.randrange(10**6))
    cleaner = make_cleaner(server.url)
    cleaner.empty()
    cleaner.close()
    with psycopg.connect(server.url) as connection:
        connection.execute("create table effects (job_id text)")
        connection.execute(HANDED_BACK)
    chaos = Chaos(server, tmp_path, seed)
    print(f"seed {seed}")
    chaos.run()

    added: set[str] = set()
    runs: dict[str, list[str]] = defaultdict(list)
    ends: dict[tuple[str, str], str] = {}
    for line in chaos.ledger.read_text(encoding="utf-8").splitlines():
        kind, job_id, *rest = line.split(" ")
        if kind == "added":
            added.add(job_id)
        elif kind == "run":
            runs[job_id].append(rest[0])
        else:
            ends[job_id, rest[0]] = kind
    with psycopg.connect(server.url) as connection:
        records = connection.execute(RECORDS).fetchall()
        handed_back = set(connection.execute("select job_id, token from handed_back").fetchall())
        effects = Counter(row[0] for row in connection.execute("select job_id from effects").fetchall())

    check(added, runs, ends, records, effects)
    unexplained, returned = explain(runs, ends, records, handed_back)
    assert unexplained == []
    stale = sum(kind == "end" and (*key, "stalled", None) in set(records) for key, kind in ends.items())
    again = sum(len(tokens) - 1 for tokens in runs.values())
    print(
        f"{dict(chaos.blows)}; {len(added)} jobs, {again} runs more than that, {returned} of them handed back, "
        f"{stale} stale ends refused"
    )
    assert all(chaos.blows.values())


def check(
    added: set[str],
    runs: dict[str, list[str]],
    ends: dict[tuple[str, str], str],
    records: list[tuple[Any, ...]],
    effects: Counter[str],
) -> None:
    """Compare the ledger with the database."""
    final = [(job_id, token, outcome) for job_id, token, outcome, state in records if state is not None]
    states = {job_id: state for job_id, _, _, state in records if state is not None}
    assert added, "nothing was added"
    assert added - states.keys() == set(), "lost"
    assert set(states.values()) == {"completed"}
    assert [job_id for job_id, count in Counter(job_id for job_id, *_ in final).items() if count > 1] == []

    recorded = {(job_id, token): outcome for job_id, token, outcome, _ in records}
    completed = Counter(job_id for (job_id, _), outcome in recorded.items() if outcome == "completed")
    assert {job_id for job_id, count in completed.items() if count != 1} == set(), "settled twice"
    assert all(token in runs[job_id] for job_id, token, _ in final), "completed by a run that never was"

    for job_id, tokens in runs.items():
        assert len(set(tokens)) == len(tokens), f"one lock of {job_id} ran twice"
    booked = {job_id for job_id in states if int(job_id.partition("-")[2]) % 2}
    assert effects == Counter(dict.fromkeys(booked, 1)), "an effect without its completion, or the other way round"


def explain(
    runs: dict[str, list[str]],
    ends: dict[tuple[str, str], str],
    records: list[tuple[Any, ...]],
    handed_back: set[tuple[Any, ...]],
) -> tuple[list[str], int]:
    """Return the runs for which the database knows no end, or none that fits the ledger's, and how many it took back.

    A run completed; or its error is recorded, and the ledger has one; or its lock was over; or its worker handed the
    job back, and the handler was broken off before.
    """
    recorded = {(job_id, token): outcome for job_id, token, outcome, _ in records}
    unexplained = []
    returned = 0
    for run in ((job_id, token) for job_id, tokens in runs.items() for token in tokens):
        outcome, end = recorded.get(run), ends.get(run)
        is_returned = outcome is None and run in handed_back and end == "broken"
        is_failed = outcome in {"failed", "retried"} and end == "broken"
        returned += is_returned
        if not (outcome in {"completed", "stalled"} or is_failed or is_returned):
            unexplained.append(f"{run}: the database says {outcome}, {run in handed_back}, the ledger {end}")
    return unexplained, returned
