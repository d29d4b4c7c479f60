"""What the server does for a statement: its plans, those within functions too, as auto_explain tells them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Plans"]

# Tables that grow with the jobs; the days of history are tables, too.
_LARGE: Final = re.compile(
    r"live|history\w*|attempts|logs|schedules|queue_groups|rates|starts|deduplication_keys|deduplicated_adds|batches|batch_parts|batch_errors"
    r"|buffered|buffer_merges"
)
_SETTINGS: Final = """
load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_analyze = on;
set auto_explain.log_timing = off;
set auto_explain.log_nested_statements = on;
set auto_explain.log_format = json;
set auto_explain.log_level = notice;
set client_min_messages = notice;
"""


class Plans:
    """The plans of whatever a connection runs."""

    def __init__(self, connection: Any) -> None:
        """Watch a connection of a superuser."""
        self._connection = connection
        self._plans: list[dict[str, Any]] = []

    async def watch(self) -> None:
        """Begin."""
        await self._connection.execute(_SETTINGS)
        self._connection.add_log_listener(self._note)

    def take(self) -> list[dict[str, Any]]:
        """Return the plans since the last call."""
        taken, self._plans = self._plans, []
        return taken

    def take_tables(self) -> list[str]:
        """Return the tables that plans since the last call had looked into."""
        return [
            node["Relation Name"]
            for plan in self.take()
            for node in _nodes(plan["Plan"])
            if "Relation Name" in node and node["Actual Loops"]
        ]

    def take_nodes(self) -> list[Mapping[str, Any]]:
        """Return the nodes of the plans since the last call."""
        return [node for plan in self.take() for node in _nodes(plan["Plan"])]

    def take_complaints(self) -> list[str]:
        """Return each scan of a large table since the last call that is not by what is looked for."""
        return [
            f"{node['Node Type']} of {node.get('Relation Name') or node.get('Index Name')}: "
            f"{node.get('Filter')}: {plan['Query Text'][:300]}"
            for plan in self.take()
            for node in _nodes(plan["Plan"])
            if not _is_good(node)
        ]

    def _note(self, _: object, message: Any) -> None:
        _, found, text = message.message.partition("plan:\n")
        if found:
            self._plans.append(json.loads(text))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _is_good(node: Mapping[str, Any]) -> bool:
    kind = node["Node Type"]
    is_large = _LARGE.fullmatch(node.get("Relation Name", "")) is not None
    if kind == "Seq Scan":
        return not is_large
    if kind in {"Index Scan", "Index Only Scan"}:
        return not is_large or "Index Cond" in node
    return kind != "Bitmap Index Scan" or "Index Cond" in node
