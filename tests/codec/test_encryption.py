"""AES-GCM: what is sealed opens where it belongs and nowhere else, and says nothing of what it is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec.encryption import KEYS_VARIABLE, AesGcmCodec
from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.payload import PayloadPlace

PLACE = PayloadPlace("arguments", "job-1", "mail", "send")
KEYS = {"2026-b": bytes(range(32)), "2026-a": bytes(32)}
CODEC = AesGcmCodec(KEYS)
SEALED = CODEC.seal(b'{"to":"ada"}', PLACE)

places = st.builds(PayloadPlace, st.sampled_from(("arguments", "result", "schedule")), st.text(), st.text(), st.text())


def changed(**parts: Any) -> bytes:
    """Return what was sealed with another part in its envelope."""
    return json.dumps({"$sealed": json.loads(SEALED)["$sealed"] | parts}).encode()


@given(st.binary(), places)
def test_what_is_sealed_opens_at_its_place(payload: bytes, place: PayloadPlace) -> None:
    assert CODEC.open(CODEC.seal(payload, place), place) == payload


@given(st.binary(min_size=1), places, places)
def test_nothing_opens_at_another_place(payload: bytes, place: PayloadPlace, other: PayloadPlace) -> None:
    if place != other:
        with pytest.raises(PayloadError, match="belongs to another job"):
            CODEC.open(CODEC.seal(payload, place), other)


@given(st.integers(0, len(base64.b64decode(json.loads(SEALED)["$sealed"]["data"])) * 8 - 1))
def test_no_bit_of_it_can_be_changed(bit: int) -> None:
    data = bytearray(base64.b64decode(json.loads(SEALED)["$sealed"]["data"]))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PayloadError, match="was changed"):
        CODEC.open(changed(data=base64.b64encode(data).decode()), PLACE)


def test_it_is_json_that_shows_the_key_and_hides_the_rest() -> None:
    seal = json.loads(SEALED)["$sealed"]
    assert (seal["codec"], seal["key"], set(seal)) == ("aes-gcm", "2026-b", {"codec", "key", "data"})
    assert b"ada" not in SEALED
    assert b"ada" not in base64.b64decode(seal["data"])
    assert repr(CODEC) == "<AesGcmCodec 2026-b, 2026-a>"


def test_the_same_payload_of_the_same_job_is_the_same_bytes_and_of_another_is_not() -> None:
    assert AesGcmCodec(KEYS).seal(b'{"to":"ada"}', PLACE) == SEALED
    others = [evolve(PLACE, job_id="job-2"), evolve(PLACE, direction="result"), evolve(PLACE, queue_name="post")]
    sealed = {CODEC.seal(b'{"to":"ada"}', place) for place in others} | {CODEC.seal(b'{"to":"eve"}', PLACE), SEALED}
    nonces = {base64.b64decode(json.loads(one)["$sealed"]["data"])[:12] for one in sealed}
    assert len(nonces) == len(sealed) == 5


def test_keys_rotate() -> None:
    before = AesGcmCodec({"2026-a": KEYS["2026-a"]})
    between = AesGcmCodec({"2026-a": KEYS["2026-a"], "2026-b": KEYS["2026-b"]})
    old = before.seal(b"{}", PLACE)
    assert between.open(SEALED, PLACE) == b'{"to":"ada"}'
    assert between.seal(b"{}", PLACE) == old
    assert CODEC.open(old, PLACE) == b"{}"
    assert json.loads(CODEC.seal(b"{}", PLACE))["$sealed"]["key"] == "2026-b"
    with pytest.raises(PayloadError, match="the key '2026-b', which is not at hand; known: 2026-a"):
        before.open(SEALED, PLACE)


def test_a_key_under_the_id_of_another_opens_nothing() -> None:
    with pytest.raises(PayloadError, match="was changed"):
        AesGcmCodec({"2026-b": bytes(32)}).open(SEALED, PLACE)
    with pytest.raises(PayloadError, match="was changed"):
        CODEC.open(changed(key="2026-a"), PLACE)


@pytest.mark.parametrize(
    "kept",
    [
        b"{}",
        b"[]",
        b"7",
        b'{"$sealed":1}',
        b'{"$sealed":{}}',
        b'{"a":1,"$sealed":{}}',
        b"{",
        b"",
        changed(codec="rot13"),
    ],
)
def test_what_was_never_sealed_is_refused_unless_it_is_accepted(kept: bytes) -> None:
    with pytest.raises(PayloadError, match="is not sealed") as caught:
        CODEC.open(kept, PLACE)
    assert (caught.value.direction, caught.value.job_id) == ("arguments", "job-1")
    assert AesGcmCodec(KEYS, accept_unsealed=True).open(kept, PLACE) == kept


@pytest.mark.parametrize("data", ["", "AAAA", "no base64", "A" * 16])
def test_a_broken_envelope_does_not_open_even_where_unsealed_is_accepted(data: str) -> None:
    with pytest.raises(PayloadError, match="was changed"):
        AesGcmCodec(KEYS, accept_unsealed=True).open(changed(data=data), PLACE)


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(31), bytes(33), "secret", "AAAA", 5, None])
def test_a_bad_key_is_refused_and_not_repeated(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="key 'a' must be 32 bytes") as caught:
        AesGcmCodec({"a": key})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("keys", [{}, {"": bytes(32)}, {"a\nb": bytes(32)}])
def test_keys_need_names(keys: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        AesGcmCodec(keys)


def test_new_keys_fit_and_differ() -> None:
    first, second = AesGcmCodec.new_key(), AesGcmCodec.new_key()
    assert first != second
    assert AesGcmCodec({"a": first}).open(AesGcmCodec({"a": first}).seal(b"{}", PLACE), PLACE) == b"{}"


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = AesGcmCodec.new_key(), AesGcmCodec.new_key()
    monkeypatch.setenv(KEYS_VARIABLE, f"new:{first}, old:{second}")
    assert repr(AesGcmCodec.from_environment()) == "<AesGcmCodec new, old>"


@pytest.mark.parametrize("value", ["", "hunter2", "a:", ":hunter2", "a:hunter2", "a:b:hunter2"])
def test_a_bad_environment_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, value)
    with pytest.raises(ConfigurationError) as caught:
        AesGcmCodec.from_environment()
    assert "hunter2" not in str(caught.value)
