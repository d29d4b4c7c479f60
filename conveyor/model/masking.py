"""Masking: what people are shown of jobs, and of what is written about them, without the secrets in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from conveyor.errors import ConfigurationError, did_you_mean

__all__ = ["DEFAULT_MASKED_FIELDS", "MASK", "Masking", "masked_url", "parse_masking"]

MASK: Final = "***"

DEFAULT_MASKED_FIELDS: Final = (
    "access_key",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "private_key",
    "pwd",
    "secret",
    "secrets",
    "token",
)

# What a masked field holds is looked for in the texts of its job; shorter than this, it would be found everywhere.
_LEAST_SECRET: Final = 4

_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Each pattern starts only where a word does: otherwise a long word would be read once for each of its letters.
_NAMED: Final = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]+)\\?["']?[ \t]*(?:=>|==?|:)[ \t]*""")
_QUOTED: Final = re.compile(
    r"""[bBfFrRuU]{0,2}(?P<quote>\\?["'])(?:(?!(?P=quote))(?:\\.|[^\\]))*(?P<end>(?P=quote))""", re.DOTALL
)
_BARE: Final = re.compile(
    r"""(?:basic|bearer|digest|token)[ \t]+[^\s"']+ | \[[^\]]*\] | \{[^}]*\} | \([^)]*\) | ["'][^\n]*
    | [^\s,;&)\]}"'<>]+""",
    re.IGNORECASE | re.VERBOSE,
)
_URL: Final = re.compile(r"""(?<![a-zA-Z0-9+.-])[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+""")
# The password ends at the last @ before the path: a careless one may hold an @ itself.
_PASSWORD: Final = re.compile(r"(?P<before>^[^:/]+://[^:/@]*):[^/]*@")
_SECRET_OPTION: Final = re.compile(
    r"(?P<name>[?&][^=&]*(?:password|passwd|passphrase|secret|token|key)[^=&]*)=[^&]*", re.IGNORECASE
)


def masked_url(url: str) -> str:
    """Return a URL whose password, and whose options that sound like a secret, are three stars.

    >>> masked_url("postgresql://ada:s3cret@db/jobs?sslpassword=x&pool=3")
    'postgresql://ada:***@db/jobs?sslpassword=***&pool=3'
    """
    return _SECRET_OPTION.sub(r"\g<name>=***", _PASSWORD.sub(r"\g<before>:***@", url))


def parse_masking(*given: tuple[object, str]) -> Masking:
    """Return the masking of the fields that are masked by default, and of those that are given.

    Args:
        given: lists of names, each with what messages call it. ``!name`` leaves one of the defaults as it is.

    Raises:
        ConfigurationError: this is no list of names, or nothing of the name is masked by default.

    >>> parse_masking((["iban", "!cookie"], "masked_fields")).value({"iban": "AT61", "cookie": "oatmeal"})
    {'iban': '***', 'cookie': 'oatmeal'}
    """
    fields = set[str](DEFAULT_MASKED_FIELDS)
    left_out = set[str]()
    for names, source in given:
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise ConfigurationError(f"{source} must be a list of names of fields, got {names!r}")
        for name in names:
            _add(name, source, fields, left_out)
    return Masking(frozenset(fields - left_out))


def _add(name: object, source: str, fields: set[str], left_out: set[str]) -> None:
    words = _words(name.removeprefix("!")) if isinstance(name, str) else ""
    if not isinstance(name, str) or not words:
        raise ConfigurationError(f"{source} must hold names of fields, such as 'iban', got {name!r}")
    if not name.startswith("!"):
        fields.add(words)
    elif words in DEFAULT_MASKED_FIELDS:
        left_out.add(words)
    else:
        raise ConfigurationError(
            f"{source}: {name!r} says that a field is not masked, and by default none is of that name: "
            f"{did_you_mean(words, DEFAULT_MASKED_FIELDS)}"
        )


@frozen
class Masking:
    """Shows three stars in place of what a field holds that has one of these names.

    A name is one or more words, and stands for every field that has these words side by side, however they are
    joined: ``api_key`` for ``api_key``, ``apiKey``, ``X-Api-Key`` and ``stripe_api_key``; not ``token`` for
    ``max_tokens``. It is for what is shown: nothing that is kept, or given to a handler, is changed.

    Attributes:
        fields: the names, in small letters, their words joined by ``_``.
    """

    fields: frozenset[str] = frozenset(DEFAULT_MASKED_FIELDS)

    def is_masked(self, name: str) -> bool:
        """Whether the field of this name is.

        >>> [name for name in ("dbPassword", "X-Api-Key", "max_tokens") if Masking().is_masked(name)]
        ['dbPassword', 'X-Api-Key']
        """
        words = f"_{_words(name)}_"
        return any(f"_{field}_" in words for field in self.fields)

    def value(self, value: Any, secrets: Collection[str] = ()) -> Any:
        """Return a JSON-like value with its masked fields as stars, however deep they lie, and texts as `text` says.

        None stays None, so that one sees that a field is not given.
        """
        match value:
            case str():
                return self.text(value, secrets)
            case Mapping():
                return {key: self._field(key, inner, secrets) for key, inner in value.items()}
            case list() | tuple():
                return [self.value(inner, secrets) for inner in value]
            case _:
                return value

    def text(self, text: str, secrets: Collection[str] = ()) -> str:
        """Return a text without passwords in URLs, what follows a masked name and ``=`` or ``:``, and these secrets.

        >>> Masking().text("login failed: user=ada, password='x y', see amqp://ada:x@mq/1")
        "login failed: user=ada, password='***', see amqp://ada:***@mq/1"
        """
        for secret in sorted(secrets, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        return "".join(self._pieces(_URL.sub(lambda url: masked_url(url[0]), text)))

    def secrets(self, value: Any, *, is_secret: bool = False) -> frozenset[str]:
        """Return the texts of at least four characters that the masked fields of a JSON-like value hold.

        Errors tend to quote what they were given: `text` finds these wherever they stand.
        """
        match value:
            case str():
                return frozenset([value] if is_secret and len(value) >= _LEAST_SECRET else [])
            case Mapping():
                found = [self.secrets(v, is_secret=is_secret or self.is_masked(str(k))) for k, v in value.items()]
            case list() | tuple():
                found = [self.secrets(inner, is_secret=is_secret) for inner in value]
            case _:
                found = []
        return frozenset[str]().union(*found)

    def job(self, record: Mapping[str, Any], secrets: Collection[str] = ()) -> dict[str, Any]:
        """Return a job's record, as ``Job.to_json()`` gives it, or a schedule's, with all masked that people wrote.

        ``attempts`` and ``logs``, where they were added to it, are masked, too; and these secrets beside its own, such
        as those of arguments that are sealed in the record.
        """
        options = record.get("options", {})
        shown = {"payload": record.get("payload"), "metadata": options.get("metadata", {})}
        secrets = self.secrets(shown).union(secrets)
        masked = dict(record)
        for key in ("payload", "result", "error", "progress", "logs", "problem"):
            if key in record:
                masked[key] = self.value(record[key], secrets)
        if options:
            masked["options"] = options | {"metadata": self.value(shown["metadata"], secrets)}
        if "attempts" in record:
            masked["attempts"] = [
                run | {key: self.value(run[key], secrets) for key in ("error", "logs") if key in run}
                for run in record["attempts"]
            ]
        return masked

    def _field(self, name: object, value: Any, secrets: Collection[str]) -> Any:
        if value is not None and isinstance(name, str) and self.is_masked(name):
            return MASK
        return self.value(value, secrets)

    def _pieces(self, text: str) -> Iterator[str]:
        """Yield a text piece by piece, stars for what follows the name of a masked field."""
        end = 0
        for named in _NAMED.finditer(text):
            if named.start() < end or not self.is_masked(named["name"]):
                continue
            quoted = _QUOTED.match(text, named.end())
            value = quoted or _BARE.match(text, named.end())
            if value is None:
                continue
            quote = "" if quoted is None else quoted["quote"]
            yield f"{text[end : named.end()]}{quote}{MASK}{quote}"
            end = value.end()
        yield text[end:]


@lru_cache(maxsize=1024)
def _words(name: str) -> str:
    """Return the words of a name in small letters, joined by ``_``.

    >>> _words("X-APIKey2")
    'x_api_key2'
    """
    return "_".join(re.findall(r"[^\W_]+", _WORD_BORDER.sub("_", name).lower()))
