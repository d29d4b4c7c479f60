"""The app: the composition root, what it was made with, and the ways to run it."""

from __future__ import annotations

from conveyor._app.app import Conveyor
from conveyor._app.running import run, run_until_signalled

__all__ = ["Conveyor", "run", "run_until_signalled"]
