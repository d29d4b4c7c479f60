"""The SQL files of this store, read once. They are written for the schema ``conveyor``, and can be had for another."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from attrs import evolve

from conveyor.model.migrations import Migration

__all__ = ["DEFAULT_SCHEMA", "Statements", "load_migrations"]

DEFAULT_SCHEMA: Final = "conveyor"

_HERE: Final = Path(__file__).parent
_SCHEMA: Final = re.compile(r"\bconveyor(?=\.)|(?<=^create schema if not exists )conveyor\b", re.MULTILINE)
# As schema/migrate.sql does it, with the values in their places.
_RECORD: Final = """insert into conveyor.migrations (version, name, checksum, applied_at)
values ({version}, '{name}', '{checksum}', clock_timestamp());
"""
_FORGET: Final = "delete from conveyor.migrations where version = {version};\n"


class Statements:
    """The statements of one schema, by "facet/method"."""

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        """Take the name of the schema, which needs no quotes."""
        self.schema = schema
        self._texts = {name: self.of_schema(text) for name, text in _load_statements().items()}

    def __getitem__(self, name: str) -> str:
        """Return one statement."""
        return self._texts[name]

    def of_schema(self, text: str) -> str:
        """Return SQL that was written for the default schema as it is for this one."""
        return text if self.schema == DEFAULT_SCHEMA else _SCHEMA.sub(self.schema, text)

    def migration(self, step: Migration) -> Migration:
        """Return a migration as other tools take it in this schema."""
        return evolve(
            step,
            up=self.of_schema(step.up),
            down=self.of_schema(step.down),
            prepare=self.of_schema(step.prepare),
            record=self.of_schema(step.record),
            forget=self.of_schema(step.forget),
            written=step.up,
        )


@cache
def _load_statements() -> dict[str, str]:
    folder = _HERE / "sql"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*/*.sql"))
    }


@cache
def load_migrations() -> tuple[Migration, ...]:
    """Return the migrations in order of their versions."""
    return tuple(_migration(path) for path in sorted((_HERE / "migrations").glob("*.up.sql")))


def _migration(up: Path) -> Migration:
    stem = up.name.removesuffix(".up.sql")
    version, _, name = stem.partition("_")
    down = up.with_name(f"{stem}.down.sql")
    step = Migration(int(version), name, up.read_text(encoding="utf-8"), down.read_text(encoding="utf-8"))
    prepare = (_load_statements()[name].strip() for name in ("schema/migrate_schema", "schema/migrate_table"))
    return evolve(
        step,
        prepare="".join(f"{statement};\n" for statement in prepare),
        record=_RECORD.format(version=step.version, name=step.name, checksum=step.checksum),
        forget=_FORGET.format(version=step.version),
    )
