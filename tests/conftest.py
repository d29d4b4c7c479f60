"""What every test shares: both backends, always; and properties that are judged by their answers, not by the clock."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes one draw take seconds, which says nothing of the property.
settings.register_profile("conveyor", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("conveyor")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each anyio test once on asyncio and once on trio."""
    backend: str = request.param
    return backend
