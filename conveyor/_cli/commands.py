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
    ("worker", "conveyor._cli.worker.command:worker", "Run the jobs of an app until a signal stops it."),
    ("dev", "conveyor._cli.worker.dev:dev", "Run them while you write the app: starts again after changes."),
    ("jobs", "conveyor._cli.jobs.command:jobs", "Find jobs; show, change and export them."),
    ("queues", "conveyor._cli.queues:queues", "Look at queues; pause, drain and clean them."),
    ("errors", "conveyor._cli.errors:errors", "See failed jobs in groups of those that failed alike."),
    ("events", "conveyor._cli.events:events", "Watch what happens to jobs and queues, as it happens."),
    ("schedules", "conveyor._cli.schedules:schedules", "Look at schedules; pause, run and remove them."),
    ("buffers", "conveyor._cli.buffers:buffers", "See how full buffers are, and flush them."),
    ("batch", "conveyor._cli.batches.command:batch", "Create batch jobs; watch, stop and resume them."),
    ("top", "conveyor._cli.top.command:top", "Watch queues, runs and workers live."),
    ("workers", "conveyor._cli.workers:workers", "See who works, and on what."),
    ("store", "conveyor._cli.store:store", "Check the store, see what is in it, update its schema."),
    ("plugins", "conveyor._cli.plugins.command:plugins", "Look at plugins, find what is wrong, start your own."),
    ("doctor", "conveyor._cli.doctor:doctor", "Find what would go wrong, before it does."),
    ("bench", "conveyor._cli.bench:bench", "Measure a store: adds, runs and pickup time per second."),
    ("config", "conveyor._cli.config:config", "See which settings hold, and where each comes from."),
    ("shell", "conveyor._cli.shell:shell", "A Python prompt with the app open."),
    ("completion", "conveyor._cli.completion:completion", "Let the shell complete commands."),
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


# What stands at the end of a command's own --help.
_EPILOGUES: Final = {
    "worker": """The first SIGINT or SIGTERM lets running jobs end, the second cancels them and
hands them back, the third exits at once. SIGUSR1 shows the running jobs and
their stacks.

Try:
  conveyor worker hello:app --queues emails:3 reports:1
  conveyor worker hello:app --processes auto --max-jobs 10000
  conveyor worker hello:app --burst
""",
    "dev": """It is conveyor worker with --reload and --log-jobs; 4 jobs run at once unless
--concurrency says otherwise. It needs conveyor[dev].

Try:
  conveyor dev hello:app
  conveyor dev hello:app --reload-dir src
""",
}


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
        if name in _EPILOGUES:
            app.command(import_path, name=name, help=summary, help_epilogue=_EPILOGUES[name], sort_key=order)
        else:  # groups bring their own
            app.command(import_path, name=name, help=summary, sort_key=order)
    return app
