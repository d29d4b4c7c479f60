"""``conveyor completion``: the script by which a shell completes commands."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import Parameter

from conveyor._cli.output import say, write
from conveyor._cli.parameters import CommonOptions, flattened

__all__ = ["completion"]

_DEFAULTS: Final = CommonOptions()


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="For which shell.")],
    /,
    *,
    install: Annotated[
        bool,
        Parameter(
            name="--install", negative="", show_default=False, help="Put it where the shell finds it, for your user."
        ),
    ] = False,
    options: Annotated[CommonOptions, flattened] = _DEFAULTS,
) -> int:
    """Print the script by which a shell completes commands and options, or install it.

    Installing writes to your home folder only, and for bash and zsh adds a line to .bashrc or .zshrc.
    """
    del options  # read by main, for its --verbose
    from conveyor._cli.commands import make_app

    app = make_app()
    if install:
        path = app.install_completion(shell=shell)
        say(f"installed as {path}; it holds from the next {shell} on")
    else:
        write(app.generate_completion(shell=shell))
    return 0
