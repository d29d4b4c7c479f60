"""The key that is made of a job's arguments: the same for the same JSON, whatever the order of its fields."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec import hash_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé☃"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcé☃😀"), inner),
    max_leaves=8,
)


def turned(value: Any) -> Any:
    """Return the same JSON with all fields in another order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(list(value))}
    return [turned(one) for one in value] if isinstance(value, list) else value


@given(values)
def test_the_order_of_fields_makes_no_difference(value: Any) -> None:
    assert hash_json(json.dumps(value).encode()) == hash_json(json.dumps(turned(value), indent=1).encode())


@given(values, values)
def test_other_values_have_other_keys(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (hash_json(json.dumps(first).encode()) == hash_json(json.dumps(second).encode())) is same


def test_it_is_sha256_of_the_sorted_json() -> None:
    canonical = '{"a":[1,2.5],"b":"é"}'.encode()
    assert hash_json(b'{"b": "\\u00e9", "a": [1, 2.5]}') == f"sha256:{hashlib.sha256(canonical).hexdigest()}"
