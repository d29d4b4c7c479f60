"""Masking: what of a value, and of a text, is a secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.masking import DEFAULT_MASKED_FIELDS, MASK, Masking, parse_masking

MASKING = Masking()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("name", "is_masked"),
    [
        ("password", True),
        ("db_password", True),
        ("dbPassword", True),
        ("PASSWORD_HASH", True),
        ("X-Api-Key", True),
        ("APIKey", True),
        ("stripe.api_key", True),
        ("token", True),
        ("max_tokens", False),
        ("tokenizer", False),
        ("key", False),
        ("secretary", False),
        ("", False),
    ],
)
def test_a_field_is_masked_by_the_words_of_its_name(name: str, is_masked: bool) -> None:
    assert MASKING.is_masked(name) is is_masked


def test_fields_are_masked_however_deep_they_lie() -> None:
    value = {"to": "ada", "login": [{"password": "hunter2", "n": 1}], "secret": {"a": [1]}, "token": None, "pwd": ""}
    assert MASKING.value(value) == {
        "to": "ada",
        "login": [{"password": MASK, "n": 1}],
        "secret": MASK,
        "token": None,
        "pwd": MASK,
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2, user=ada", "password=***, user=ada"),
        ("Authorization: Bearer abc.def-1\nnext", "Authorization: ***\nnext"),
        ('{"password": "a\\"b", "x": 1}', '{"password": "***", "x": 1}'),
        (r"{\"password\": \"hunter2\"}", r"{\"password\": \"***\"}"),
        ("error: token: abc", "error: token: ***"),
        ("password=b'x y' z", "password='***' z"),
        ("secret => {'a': 'b'}.", "secret => ***."),
        ("tokens = ['a', 'b']; token = ['a', 'b']", "tokens = ['a', 'b']; token = ***"),
        ("password='cut off", "password=***"),
        ("--api-key=zz", "--api-key=***"),
        ("amqp://ada:hunter2@mq/1?token=x&pool=2", "amqp://ada:***@mq/1?token=***&pool=2"),
        ("a password: \n is missing", "a password: \n is missing"),
        ("nothing to hide: 1", "nothing to hide: 1"),
    ],
)
def test_what_follows_the_name_of_a_masked_field_is_masked_in_texts(text: str, masked: str) -> None:
    assert MASKING.text(text) == masked


def test_what_a_masked_field_holds_is_found_in_other_texts_as_a_whole_word() -> None:
    secrets = MASKING.secrets({"password": "hunter2", "token": {"parts": ["abcd", 7]}, "pwd": "abc", "to": "everybody"})
    assert secrets == {"hunter2", "abcd"}
    assert MASKING.text("no hunter2, hunter22; (abcd)", secrets) == "no ***, hunter22; (***)"


def test_a_job_is_masked_where_people_wrote_and_nowhere_else() -> None:
    record = {
        "id": "1",
        "token": "37a5.2",
        "payload": {"password": "hunter2"},
        "options": {"attempts": 1, "metadata": {"api_key": "k-1234"}},
        "result": ["hunter2"],
        "error": {"type": "E", "message": "bad hunter2", "traceback": "E: bad hunter2 k-1234"},
        "progress": {"done": 1.0, "total": None, "message": "as hunter2"},
        "attempts": [{"token": "37a5.1", "error": None}, {"token": "37a5.2", "error": {"message": "hunter2"}}],
        "logs": [{"at": None, "message": "got hunter2"}],
    }
    assert MASKING.job(record) == {
        "id": "1",
        "token": "37a5.2",
        "payload": {"password": MASK},
        "options": {"attempts": 1, "metadata": {"api_key": MASK}},
        "result": [MASK],
        "error": {"type": "E", "message": "bad ***", "traceback": "E: bad *** ***"},
        "progress": {"done": 1.0, "total": None, "message": "as ***"},
        "attempts": [{"token": "37a5.1", "error": None}, {"token": "37a5.2", "error": {"message": MASK}}],
        "logs": [{"at": None, "message": "got ***"}],
    }


@given(JSON, st.sampled_from(DEFAULT_MASKED_FIELDS), st.text("abcdefXYZ0123456789_", min_size=12))
def test_no_secret_is_left_wherever_it_lies(value: Any, name: str, secret: str) -> None:
    assume(secret not in repr(value))  # a long number may have it, which is nobody's secret
    masked = MASKING.value({"a": [value, {name: [value, {"b": secret}]}], "c": f"{name}={secret}"})
    assert secret not in repr(masked)


def test_names_that_are_given_come_in_addition_and_one_may_leave_defaults_out() -> None:
    masking = parse_masking((["IBAN", "birth-date"], "one"), (["!token"], "two"))
    assert masking.fields == {*DEFAULT_MASKED_FIELDS, "iban", "birth_date"} - {"token"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("iban", "must be a list of names of fields, got 'iban'"),
        (7, "must be a list of names of fields, got 7"),
        ([7], "must hold names of fields, such as 'iban', got 7"),
        (["iban", " "], "must hold names of fields, such as 'iban', got ' '"),
        (["!"], "must hold names of fields, such as 'iban', got '!'"),
        (["!tokn"], "by default none is of that name: did you mean 'token'?"),
    ],
)
def test_what_is_no_list_of_names_is_refused(given: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match="masked_fields") as caught:
        parse_masking((given, "masked_fields"))
    assert said in str(caught.value)
