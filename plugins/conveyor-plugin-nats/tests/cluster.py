"""Three servers that are one cluster, each of which can be killed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

from server import START_SECONDS, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Cluster"]

SIZE: Final = 3


class Cluster:
    """Servers that know each other, on free ports."""

    def __init__(self) -> None:
        """Prepare them."""
        ports = [free_port() for _ in range(SIZE)]
        routes = json.dumps([f"nats://127.0.0.1:{port}" for port in ports])
        self._servers: dict[str, Server] = {
            f"n{number}": Server(
                settings=f"""
                server_name: n{number}
                cluster {{ name: test, listen: "127.0.0.1:{port}", routes: {routes} }}
                """
            )
            for number, port in enumerate(ports)
        }

    @property
    def url(self) -> str:
        """The URL that names them all."""
        return "nats://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    @property
    def servers(self) -> Sequence[Server]:
        """All of them."""
        return list(self._servers.values())

    def start(self) -> None:
        """Start them all, and wait until they have chosen who leads."""
        for server in self.servers:
            server.start()
        deadline = time.monotonic() + START_SECONDS
        while not all(_knows_leader(server) for server in self.servers):
            if time.monotonic() > deadline:
                raise RuntimeError("the servers chose nobody to lead")
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """End one of them as nothing could that has a chance to react."""
        self._servers[name].kill()

    def start_again(self, name: str) -> None:
        """Start one that was killed, on the data that it has."""
        self._servers[name].start()

    def remove(self) -> None:
        """End them all and remove their data."""
        for server in self.servers:
            server.remove()


def _knows_leader(server: Server) -> bool:
    with urlopen(f"{server.monitor}/jsz", timeout=1) as answer:
        cluster: dict[str, object] = json.load(answer).get("meta_cluster") or {}
        return bool(cluster.get("leader")) and cluster.get("cluster_size") == SIZE
