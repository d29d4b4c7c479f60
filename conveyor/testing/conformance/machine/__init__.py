"""The state machine: random commands to a store and to a naive reference, which must answer alike after each."""

from __future__ import annotations

from conveyor.testing.conformance.machine.chapter import MachineConformance

__all__ = ["MachineConformance"]
