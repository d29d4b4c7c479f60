"""The tree of commands: names and summaries only; the module of a command is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor import __version__

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["COMMANDS", "make_app"]

# Name, where it lives, and the line in `conveyor --help`.
COMMANDS: Final = (
    ("demo", "conveyor._cli.demo.command:demo", "Watch jobs run, without any setup."),
    ("worker", "conveyor._cli.worker:worker", "Run the jobs of an app until a signal stops it."),
    ("jobs", "conveyor._cli.jobs:jobs", "Look at jobs; cancel them or run them again."),
    ("queues", "conveyor._cli.queues:queues", "Look at queues; pause and resume them."),
    ("store", "conveyor._cli.store:store", "Check the store and bring its schema up to date."),
    ("plugins", "conveyor._cli.plugins:plugins", "See which plugins are installed and what they offer."),
    ("bench", "conveyor._cli.bench:bench", "Measure a store: adds, runs and pickup time per second."),
    ("version", "conveyor._cli.version:version", "Print the version."),
)

_HELP: Final = """Background jobs for trio and asyncio programs.

An app is named by module:attr, a store by its URL: with --app and --store,
CONVEYOR_APP and CONVEYOR_STORE, or app and store in [tool.conveyor] of
pyproject.toml, in this order.

Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage,
3 not found, 4 store unreachable, 5 refused, 6 schema, 130 interrupted.

Try:
  conveyor demo
  conveyor worker hello:app --queues emails:3 reports:1
  conveyor jobs list --state failed -o jsonl
"""


def make_app() -> App:
    """Return the command line, ready to parse."""
    from cyclopts import App

    from conveyor._cli.help import TwoColumns

    app = App(
        name="conveyor",
        help=_HELP,
        help_format="plaintext",
        help_formatter=TwoColumns(),
        version=f"conveyor {__version__}",
    )
    for order, (name, import_path, summary) in enumerate(COMMANDS):
        app.command(import_path, name=name, help=summary, sort_key=order)
    return app
