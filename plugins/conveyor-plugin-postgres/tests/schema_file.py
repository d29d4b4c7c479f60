"""What `schema.sql` must say: the schema as the migrations leave it.

Run in the plugin's folder: python tests/schema_file.py > conveyor_plugin_postgres/schema.sql
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from conveyor_plugin_postgres.statements import load_migrations
from server import Server

__all__ = ["schema_file"]

HEADER: Final = """-- The schema as the migrations leave it; they say what each thing is for.
-- psql -f schema.sql makes it and notes that they were applied, in place of `conveyor store migrate`.
"""
# Remarks and settings of pg_dump, and a word that it makes up anew each time; lines of functions are indented.
_NOISE: Final = re.compile(
    r"^(?:--.*|SET (?!check_function_bodies).*|SELECT pg_catalog\.set_config.*|\\(?:un)?restrict .*)\n", re.MULTILINE
)


def schema_file(server: Server) -> str:
    """Return the text for the schema `conveyor` of a server, as its own pg_dump writes it."""
    # The days of history are made by the last line.
    what = (
        "--schema-only",
        "--no-owner",
        "--schema=conveyor",
        "--exclude-table=conveyor.history_2*",
    )
    command = [str(server.binaries / "pg_dump"), *what, server.url]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = ",\n".join(
        f"  ({migration.version}, '{migration.name}', '{migration.checksum}', clock_timestamp())"
        for migration in load_migrations()
    )
    notes = (
        f"INSERT INTO conveyor.migrations (version, name, checksum, applied_at) VALUES\n{rows};\n\n"
        "SELECT conveyor.make_partitions(clock_timestamp());\n"
    )
    return re.sub(r"\n{3,}", "\n\n", "\n".join([HEADER, _NOISE.sub("", dump), notes]))


def main() -> None:
    """Start a server, migrate, print, and remove it."""
    server = Server(fsync="off")
    try:
        server.make()
        migrate = [sys.executable, "-m", "conveyor", "store", "migrate", "--store", server.url]
        subprocess.run(migrate, check=True, stdout=subprocess.DEVNULL)
        sys.stdout.write(schema_file(server))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
