"""``conveyor version``."""

from __future__ import annotations

import platform
from typing import Annotated, Final

from conveyor import __version__
from conveyor._cli.output import show_record, write
from conveyor._cli.parameters import OutputOptions, flattened

__all__ = ["version"]

_DEFAULTS: Final = OutputOptions()


def version(*, options: Annotated[OutputOptions, flattened] = _DEFAULTS) -> int:
    """Print the version of conveyor; as JSON, of Python and the platform too."""
    if options.output == "table":
        write(f"conveyor {__version__}")
    else:
        python = platform.python_version()
        show_record({"conveyor": __version__, "python": python, "platform": platform.platform()}, options.output)
    return 0
