"""Strangers: distributions with plugins, written into a folder as an installer would leave them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from attrs import define

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["STORE", "Strangers", "middleware_module", "queue_module", "store_module"]

# The beginning of a module that tells that it was imported.
TOLD: Final = """import sys
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()
"""

STORE: Final = """from conveyor import hookimpl
from conveyor.contracts.providers import JobQueueProvider, StoreProvider

def open_store(url, injector):
    import no_backend_is_imported_before_it_is_opened
"""


def store_module(*schemes: str, version: int = 1) -> str:
    """Return the source of a plugin that offers a store."""
    return f"""{STORE}
@hookimpl
def conveyor_stores():
    return [StoreProvider("stranger", {schemes!r}, open_store, lambda url: (), {version})]
"""


def queue_module(name: str) -> str:
    """Return the source of a plugin that offers a job queue strategy."""
    return f"""{STORE}
@hookimpl
def conveyor_job_queues():
    return [JobQueueProvider({name!r}, object, 1)]
"""


def middleware_module(name: str) -> str:
    """Return the source of a plugin that offers middleware, which notes in a list of its own what it does."""
    return f"""from conveyor import hookimpl
from conveyor.contracts.providers import MiddlewareProvider

LOG = []

class Noting:
    async def init(self, injector):
        LOG.append("init")

    async def destroy(self):
        LOG.append("destroy")

    async def around_add(self, jobs, call_next):
        LOG.append("add")
        return await call_next(jobs)

    async def around_run(self, job, call_next):
        LOG.append("run")
        return await call_next()

@hookimpl
def conveyor_middleware():
    return [MiddlewareProvider({name!r}, Noting, 1)]
"""


@define
class Strangers:
    """A folder on the path, and what is installed there."""

    folder: Path

    def install(self, distribution: str, source: str = "", *, names: tuple[str, ...] = (), version: str = "1.0") -> str:
        """Install a distribution with one module, which is a plugin under each of the names; return the module's."""
        module = distribution.replace("-", "_")
        (self.folder / f"{module}.py").write_text(TOLD + source, encoding="utf-8")
        lines = "".join(f"{name} = {module}\n" for name in names or (distribution,))
        self.describe(distribution, f"[conveyor]\n{lines}", version=version)
        return module

    def describe(self, distribution: str, entry_points: str, *, version: str = "1.0") -> None:
        """Install the metadata of a distribution, and nothing else."""
        information = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\nRequires-Dist: conveyor\n"
        (information / "METADATA").write_text(metadata, encoding="utf-8")
        (information / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    @property
    def imported(self) -> list[str]:
        """Which modules of theirs were imported, in this process or another."""
        return sorted(path.stem for path in self.folder.glob("*.imported"))

    def forget_modules(self, before: Mapping[str, object]) -> None:
        """Take their modules out of this interpreter."""
        for name in set(sys.modules) - set(before):
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                del sys.modules[name]
