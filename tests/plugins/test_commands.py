"""Commands of plugins: called by their names, listed with ours, and never in the way of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conveyor.__main__ import main
from conveyor._plugins import Plugins

if TYPE_CHECKING:
    from tests.plugins.strangers import Strangers


def command_module(name: str, target: str = "", version: int = 1) -> str:
    """Return the source of a plugin that offers a command, which stands in the same module."""
    return f"""from conveyor import hookimpl
from conveyor.contracts.providers import CommandProvider

def greet(whom: str, *, store: str = "memory://") -> int:
    import anyio
    from conveyor import operated_app

    async def look() -> None:
        async with operated_app(store=store) as app:
            print(f"{name} greets {{whom}}, beside {{await app.jobs.count()}} jobs")

    anyio.run(look)
    return 7

@hookimpl
def conveyor_cli_commands():
    return [CommandProvider({name!r}, "Greets somebody.", {target!r} or f"{{__name__}}:greet", {version})]
"""


def test_a_command_is_called_by_its_name_and_gives_the_exit_code(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("greeter", command_module("greet"))
    assert main(["greet", "ada", "--store", "memory://"]) == 7
    assert capsys.readouterr().out == "greet greets ada, beside 0 jobs\n"


def test_it_is_listed_with_the_others_and_has_help_of_its_own(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("greeter", command_module("greet"))
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        assert "Greets somebody." in capsys.readouterr().out
    assert main(["greet", "--help"]) == 0
    assert "--store" in capsys.readouterr().out


def test_a_command_in_the_box_comes_first_and_imports_no_plugin(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("greeter", command_module("version"))
    assert main(["version"]) == 0
    assert "greets" not in capsys.readouterr().out
    assert strangers.imported == []


def test_two_that_offer_one_command_are_an_error_for_who_calls_it_alone(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("one", command_module("greet"))
    strangers.install("two", command_module("greet"))
    assert main(["greet", "ada"]) == 2
    assert "the command 'greet' is offered by two plugins: 'one' of 'one' 1.0 and 'two'" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "Greets somebody." not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('no')", "it is broken: ValueError: no"),
        (command_module("greet", version=99), "keeps version 99 of the contracts"),
        (command_module("greet", target="greet"), "target must be 'module:attr', got 'greet'"),
        (command_module("greet", target="no_such_module:greet"), "no_such_module"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_an_error_for_who_calls_it_alone(
    strangers: Strangers, capsys: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    strangers.install("greet", source)
    assert main(["greet", "ada"]) in {1, 2}
    assert said in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out


def test_a_command_that_there_is_none_of_is_told_as_before(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("greeter", command_module("greet"))
    assert main(["gret", "ada"]) == 2
    assert 'Unknown command "gret"' in capsys.readouterr().err


def test_the_list_of_commands_comes_whatever_the_settings_say(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("greeter", command_module("greet"))
    settings = Path("pyproject.toml")
    settings.write_text("[tool.conveyor.plugins]\nblock = 7\n")
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["greet", "ada"]) == 2
    settings.write_text("[tool.conveyor.plugins]\nblock = ['greeter']\n")
    assert main(["greet", "ada"]) == 2
    assert strangers.imported == []


def test_why_tells_which_plugin_a_command_is_from(strangers: Strangers) -> None:
    strangers.install("greeter", command_module("greet"))
    choice = Plugins().choose("command", "greet")
    assert choice.offer is not None
    assert choice.offer.plugin.name == "greeter"
