"""``conveyor plugins``: list, show, doctor, why, new, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from conveyor._cli.output import say, show_record, show_records, write
from conveyor._cli.parameters import CommonOptions, OutputOptions, flattened
from conveyor._cli.plugins.scaffold import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["plugins"]

_DEFAULTS: Final = OutputOptions()
_QUIET: Final = CommonOptions()

plugins: Final = App(name="plugins", help="Look at plugins, find what is wrong with them, start one of your own.")


@plugins.command(name="list")
def list_(
    *,
    load: Annotated[
        bool,
        Parameter(name="--load", negative="", show_default=False, help="Import them, and tell what each offers."),
    ] = False,
    options: Annotated[OutputOptions, flattened] = _DEFAULTS,
) -> int:
    """List the installed plugins: where they come from, and whether they may be used. Imports none of them."""
    from conveyor._cli.plugins.views import list_row, loaded_view, plain_view
    from conveyor._services.plugin_rules import installed_plugins

    installed = installed_plugins()
    view = loaded_view if load else plain_view
    records = [view(installed, plugin) for plugin in installed.found]
    titles = ("plugin", "distribution", "version", "entry point", "status", *(("offers",) if load else ()))
    show_records(records, options.output, titles, list_row)
    return 0


@plugins.command
def show(
    name: Annotated[str, Parameter(help="Name of the plugin, or of its distribution.")],
    /,
    *,
    options: Annotated[OutputOptions, flattened] = _DEFAULTS,
) -> int:
    """Show all that is known of a plugin: its hooks, what it offers, where it stands. Imports that one only.

    Exits with 3 if there is none of this name.
    """
    from conveyor._cli.plugins.views import find_named, full_view
    from conveyor._services.plugin_rules import installed_plugins

    installed = installed_plugins()
    records = [full_view(installed, plugin) for plugin in find_named(installed, name)]
    if options.output != "table":
        show_records(records, options.output, (), lambda _: ())
        return 0
    for number, record in enumerate(records):
        if number:
            write("")
        show_record(record, "table")
    return 0


@plugins.command
def doctor(*, options: Annotated[OutputOptions, flattened] = _DEFAULTS) -> int:
    """Import every plugin that may be used, and say what is wrong: broken ones, clashes, wrong versions.

    Exits with 1 if there is a problem; notes are none.
    """
    from conveyor._cli.failures import ExitCode
    from conveyor._cli.plugins.diagnosis import diagnose
    from conveyor._services.plugin_rules import installed_plugins

    installed = installed_plugins()
    records = diagnose(installed)
    if records or options.output != "table":
        show_records(records, options.output, ("", "plugin", "what", "what to do"), _finding_row)
    problems = sum(record["is_problem"] for record in records)
    say(f"plugins: {len(installed.found)}, problems: {problems}")
    return ExitCode.FAILED if problems else ExitCode.OK


def _finding_row(record: Mapping[str, Any]) -> Sequence[object]:
    mark = "problem" if record["is_problem"] else "note"
    whose = " of ".join(filter(None, (record["plugin"], record["distribution"])))
    return mark, whose, record["what"], record["advice"]


@plugins.command(help_epilogue="Examples:\n  conveyor plugins why sqlite\n  conveyor plugins why postgresql://db/jobs")
def why(
    word: Annotated[str, Parameter(help="Name of a strategy, URL scheme, or URL of a store.")],
    /,
    *,
    options: Annotated[OutputOptions, flattened] = _DEFAULTS,
) -> int:
    """Say which plugin a name, a scheme or a URL selects, and by which rule; or why none.

    Exits with 3 if no plugin answers to it, and with 1 if the one that does cannot be used.
    """
    from conveyor._cli.failures import ExitCode
    from conveyor._cli.plugins.reasons import is_unknown, reasons, write_reasons
    from conveyor._services.plugin_rules import installed_plugins

    records = reasons(installed_plugins(), word)
    if options.output == "table":
        write_reasons(records)
    else:
        show_records(records, options.output, (), lambda _: ())
    if any(record["error"] is None for record in records):
        return ExitCode.OK
    return ExitCode.NOT_FOUND if all(map(is_unknown, records)) else ExitCode.FAILED


@plugins.command(help_epilogue="Example:\n  conveyor plugins new acme --kind store && cd conveyor-plugin-acme")
def new(
    name: Annotated[str, Parameter(help="Name of the plugin: lower-case letters, digits and single hyphens.")],
    /,
    *,
    kind: Annotated[Kind, Parameter(help="What it is to offer.")] = "store",
    path: Annotated[Path | None, Parameter(help="Folder to put its folder in; else the working directory.")] = None,
    options: Annotated[CommonOptions, flattened] = _QUIET,
) -> int:
    """Write a plugin package, conveyor-plugin-NAME, with a strategy that works and tests that pass."""
    from conveyor._cli.plugins.scaffold import write_plugin

    del options
    folder, written = write_plugin(name, kind, path or Path())
    for file in written:
        write(str(file))
    say(f'next: cd {folder} && pip install -e ".[testing]" && pytest')
    return 0


@plugins.command(help_epilogue="Example:\n  conveyor plugins check acme:// -k settling")
def check(
    url: Annotated[str, Parameter(help="URL of the store, which must be empty: the kit removes what it finds.")],
    /,
    *,
    keyword: Annotated[
        str | None, Parameter(name=("-k", "--keyword"), help="Run only tests whose names match, as in pytest.")
    ] = None,
    options: Annotated[CommonOptions, flattened] = _QUIET,
) -> int:
    """Run the conformance kit on a store, in a process of its own; print what it declares and what it kept.

    Exits with 0 if the store keeps every promise, with 1 if it breaks one, with 2 if it cannot be tested.
    """
    from conveyor._cli.plugins.kit import run_kit

    del options
    return run_kit(url, keyword)
