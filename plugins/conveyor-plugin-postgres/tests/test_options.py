"""The URL: several servers in it, and what messages show of it."""

from __future__ import annotations

import pytest
from conveyor_plugin_postgres.options import parse_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://shop:se@cret@db:5433/jobs", "postgresql:db:5433/jobs"),
        ("postgresql://shop@db1,db2/jobs?target_session_attrs=read-write", "postgresql:db1,db2/jobs"),
        ("postgresql://shop@db1:5432,db2:5433/jobs", "postgresql:db1:5432,db2:5433/jobs"),
        ("postgresql://shop@[::1]:5432/jobs", "postgresql:[::1]:5432/jobs"),
        ("postgresql:///jobs?host=/run/postgresql&schema=mine", "postgresql:/run/postgresql/jobs?schema=mine"),
        ("postgresql:///jobs", "postgresql:localhost/jobs"),
    ],
)
def test_messages_show_where_the_store_is_and_nobody_s_password(url: str, shown: str) -> None:
    assert parse_url(url).shown == shown
