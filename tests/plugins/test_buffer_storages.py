"""Buffer storages from plugins: chosen by name, with options of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from conveyor import Conveyor, JobBuffer
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from tests.plugins.strangers import Strangers

pytestmark = pytest.mark.anyio

STORAGE: Final = """from attrs import frozen
from conveyor import InMemoryJobBufferStorageStrategy, hookimpl
from conveyor.contracts.providers import BufferStorageProvider

LOG = []

@frozen
class ShelfOptions:
    most: int = 1000

class Shelf(InMemoryJobBufferStorageStrategy):
    def __init__(self, options):
        super().__init__()
        LOG.append(options.most)

    async def add(self, buffer_id, job):
        LOG.append(buffer_id)
        return await super().add(buffer_id, job)

@hookimpl
def conveyor_buffer_storages():
    return [
        BufferStorageProvider("shelf", Shelf, 1, ShelfOptions),
        BufferStorageProvider("plain", InMemoryJobBufferStorageStrategy, 1),
    ]
"""


def write(table: str, name: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.conveyor.strategies.{name}]\n{table}\n", encoding="utf-8")


async def test_one_that_is_named_keeps_what_buffers_collect(strangers: Strangers) -> None:
    module = strangers.install("shelf", STORAGE)
    write("most = 7", "shelf")
    app = Conveyor("memory://", buffer_storage="shelf")
    app.buffers.add_buffer(JobBuffer("all", collect=lambda job: True, reduce=list))
    async with app:
        await app.queue("work").add("pack")
        assert await app.buffers.buffer_size() == {"all": 1}
        assert await app.buffers.flush() != {}
    assert sys.modules[module].LOG == [7, "all"]


@pytest.mark.parametrize(
    ("table", "name", "told"),
    [
        ("mots = 7", "shelf", "has no option 'mots'.*did you mean 'most'"),
        ("most = 7", "plain", "strategy 'plain' has no option 'most' .*strategies.plain.*: it takes none"),
        (
            "pool = 7",
            "memory",
            "'memory' has no option 'pool' .*strategies.memory.*: a store has its options in its URL",
        ),
    ],
)
async def test_options_that_nobody_takes_are_refused(strangers: Strangers, table: str, name: str, told: str) -> None:
    strangers.install("shelf", STORAGE)
    write(table, name)
    with pytest.raises(ConfigurationError, match=told):
        async with Conveyor("memory://", buffer_storage="plain" if name == "memory" else name):
            pytest.fail("it was opened")


async def test_variables_for_what_takes_no_options_are_refused(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.install("shelf", STORAGE)
    monkeypatch.setenv("CONVEYOR_STRATEGIES_PLAIN_TWO_MOST", "7")
    async with Conveyor("memory://", buffer_storage="plain", strategies={"plain-two": "memory://"}):
        pass
    monkeypatch.setenv("CONVEYOR_STRATEGIES_PLAIN_MOST", "7")
    with pytest.raises(ConfigurationError, match=r"'plain' has no option 'most' \(CONVEYOR_.*_MOST\): it takes none"):
        async with Conveyor("memory://", buffer_storage="plain", strategies={"plain-two": "memory://"}):
            pytest.fail("it was opened")
