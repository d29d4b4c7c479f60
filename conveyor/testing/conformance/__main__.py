"""Runs the conformance kit on the store of a URL: ``python -m conveyor.testing.conformance URL [-k EXPRESSION]``."""

from __future__ import annotations

import argparse
import os
import sys

import anyio
import pytest
from rich.console import Console

from conveyor.errors import ConveyorError
from conveyor.testing.conformance.emptying import check_empty
from conveyor.testing.conformance.report import URL_OPTION, Chapters, capability_table
from conveyor.testing.stores import open_store


def main() -> int:
    """Run the kit; return 0 if the store passes, 1 if it fails, 2 if it cannot be tested."""
    arguments = _parser().parse_args()
    console = Console()
    try:
        anyio.run(_show, arguments.url, console)
    except ConveyorError as error:
        console.print(f"[red]cannot test {arguments.url}:[/] {error}", highlight=False)
        return 2
    chapters = Chapters()
    options = ["-q", "--no-header", "--no-summary", "--tb=short", "-p", "no:cacheprovider", "-c", os.devnull]
    chosen = ["-k", arguments.k] if arguments.k else []
    code = pytest.main(
        [*options, *chosen, URL_OPTION, arguments.url, "--pyargs", "conveyor.testing.conformance.given_store"],
        plugins=[chapters],
    )
    for failure in chapters.failures:
        console.print(failure, markup=False, highlight=False)
    console.print(chapters.table())
    return 0 if code == pytest.ExitCode.OK else 1 if code == pytest.ExitCode.TESTS_FAILED else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conveyor.testing.conformance", description=__doc__)
    parser.add_argument("url", help="the store, which must be empty: the kit removes whatever it finds")
    parser.add_argument("-k", metavar="EXPRESSION", help="run only tests whose names match, as in pytest")
    return parser


async def _show(url: str, console: Console) -> None:
    async with open_store(url) as store:
        console.print(capability_table(store))
        await check_empty(store)


if __name__ == "__main__":
    sys.exit(main())
