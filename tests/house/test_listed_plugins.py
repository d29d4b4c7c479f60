"""The plugins in the box and those beside it are all listed where people read which ones they may allow."""

from __future__ import annotations

import re
from typing import Final

from conveyor._plugins import Plugins
from tests.house.tree import ROOT

PAGE: Final = ROOT / "docs" / "how-to" / "choose-plugins.md"
ROW: Final = re.compile(r"^\| `([a-z-]+)` \| `(conveyor[a-z-]*)` \| (.*) \|$", re.MULTILINE)
OFFER: Final = re.compile(r"(store|buffer storage|job queue|file storage|payload codec|middleware|command) `([a-z-]+)`")


def test_every_plugin_is_listed_with_what_it_offers() -> None:
    listed = {
        (plugin, distribution): set(OFFER.findall(offers))
        for plugin, distribution, offers in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
    installed = Plugins()
    ours = [plugin for plugin in installed.found if re.match("conveyor(-plugin-|$)", plugin.distribution)]
    assert listed == {
        (plugin.name, plugin.distribution): {
            (offer.kind, offer.provider.name) for offer in installed.load(plugin).offers
        }
        for plugin in ours
    }
