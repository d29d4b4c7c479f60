"""The plugin's entry in conveyor's plugin list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor import hookimpl
from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import CommandProvider, MiddlewareProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Middleware

__all__ = ["conveyor_cli_commands", "conveyor_middleware"]


@hookimpl
def conveyor_middleware() -> Sequence[MiddlewareProvider]:
    """Offer ``Conveyor(middleware=["opentelemetry"])``."""
    return (MiddlewareProvider(name="opentelemetry", create=_open_telemetry, contract_version=CONTRACT_VERSION),)


@hookimpl
def conveyor_cli_commands() -> Sequence[CommandProvider]:
    """Offer ``conveyor metrics``."""
    return (
        CommandProvider(
            name="metrics",
            summary="Let Prometheus read the numbers of a store.",
            target="conveyor_plugin_observability.commands:metrics",
            contract_version=CONTRACT_VERSION,
        ),
    )


def _open_telemetry() -> Middleware:
    from conveyor_plugin_observability.tracing import OpenTelemetry

    return OpenTelemetry()
