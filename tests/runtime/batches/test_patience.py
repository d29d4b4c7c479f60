"""A time that is over is noticed soon, and looked at seldom."""

from __future__ import annotations

from itertools import count

import anyio
import pytest

from conveyor._runtime.batches.rows.patience import Watch
from conveyor.testing import jumping_backends

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("anyio_backend", jumping_backends())
@pytest.mark.parametrize("row_seconds", [0.001, 0.05, 0.4, 3.0])
async def test_a_time_is_over_soon_after_it_is(row_seconds: float) -> None:
    watch, began_at = Watch(1.0), anyio.current_time()
    for rows in count(1):
        await anyio.sleep(row_seconds)
        if watch.is_over(rows):
            break
    assert 1.0 <= anyio.current_time() - began_at <= 1.0 + max(0.26, row_seconds)
