"""The SQL files of this store, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor.model.migrations import Migration

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_migrations", "load_statements", "sql"]

_HERE: Final = Path(__file__).parent
# As schema/migrate.sql does it, with the values in their places; times are microseconds since 1970.
_RECORD: Final = """insert into conveyor_migrations (version, name, checksum, applied_at)
values ({version}, '{name}', '{checksum}', strftime('%s', 'now') * 1000000);
"""
_FORGET: Final = "delete from conveyor_migrations where version = {version};\n"


@cache
def load_statements() -> Mapping[str, str]:
    """Return every statement by "facet/method"."""
    folder = _HERE / "sql"
    return MappingProxyType(
        {
            path.relative_to(folder).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(folder.glob("*/*.sql"))
        }
    )


@cache
def sql(name: str) -> str:
    """Return one statement by "facet/method"."""
    return load_statements()[name]


@cache
def load_migrations() -> tuple[Migration, ...]:
    """Return the migrations in order of their versions."""
    return tuple(_migration(path) for path in sorted((_HERE / "migrations").glob("*.up.sql")))


def _migration(up: Path) -> Migration:
    stem = up.name.removesuffix(".up.sql")
    version, _, name = stem.partition("_")
    down = up.with_name(f"{stem}.down.sql")
    step = Migration(int(version), name, up.read_text(encoding="utf-8"), down.read_text(encoding="utf-8"))
    return evolve(
        step,
        prepare=f"{sql('schema/migrate_table').strip()};\n",
        record=_RECORD.format(version=step.version, name=step.name, checksum=step.checksum),
        forget=_FORGET.format(version=step.version),
    )
