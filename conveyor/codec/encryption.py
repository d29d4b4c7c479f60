"""AES-GCM for arguments and results: sealed before they are kept, bound to their job, under keys that can change."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from typing import TYPE_CHECKING, Any, Final, Self

from conveyor.codec.json_values import decode_json, encode_json
from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.checks import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.payload import PayloadPlace

__all__ = ["KEYS_VARIABLE", "AesGcmCodec"]

# ID:KEY,ID:KEY with the keys in base64; the first seals.
KEYS_VARIABLE: Final = "CONVEYOR_ENCRYPTION_KEYS"

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SEAL: Final = "$sealed"
_CODEC: Final = "aes-gcm"


class AesGcmCodec:
    """A `PayloadCodec` that encrypts with AES-256 in Galois/Counter Mode (NIST SP 800-38D).

    What is kept is ``{"$sealed": {"codec": "aes-gcm", "key": ID, "data": BASE64}}``. The job's id, its queue and its
    name are authenticated with it, and whether it is arguments or a result: moved to another job, it does not open.

    The nonce is made of the payload and its place by HMAC-SHA256 under a key of its own, so the same payload of the
    same job is the same bytes: an add that is repeated is known as such. Two payloads share a nonce by chance after
    about 2**48 of them.
    """

    def __init__(self, keys: Mapping[str, bytes | str], *, accept_unsealed: bool = False) -> None:
        """Take the keys.

        Args:
            keys: by their ids, 32 bytes each, or these in base64. The first one seals; all of them open.
            accept_unsealed: take what was never sealed as it is, for as long as jobs wait that were added before
                there was encryption. Whoever can write to the store can then hand in arguments of his own.

        Raises:
            ConfigurationError: no keys, or one of another length; ``conveyor[encryption]`` is not installed.
        """
        if not keys:
            raise ConfigurationError("AesGcmCodec needs a key: AesGcmCodec.new_key() makes one")
        self._boxes = {check_name(key_id, "key id"): _Box(key_id, _key_bytes(key_id, keys[key_id])) for key_id in keys}
        self._current = next(iter(self._boxes.values()))
        self._accept_unsealed = accept_unsealed

    @staticmethod
    def new_key() -> str:
        """Return a new random key, in base64."""
        return base64.b64encode(os.urandom(_KEY_BYTES)).decode()

    @classmethod
    def from_environment(cls) -> Self:
        """Return one with the keys of ``CONVEYOR_ENCRYPTION_KEYS``: ``ID:KEY,ID:KEY``, the first seals.

        Raises:
            ConfigurationError: the variable is not set, or holds something else. Its value is not repeated.
        """
        pairs = [pair.strip().partition(":") for pair in os.environ.get(KEYS_VARIABLE, "").split(",") if pair.strip()]
        if not pairs or not all(key_id and key for key_id, _, key in pairs):
            raise ConfigurationError(f"{KEYS_VARIABLE} must hold ID:KEY, or several with commas; the first one seals")
        return cls({key_id: key for key_id, _, key in pairs})

    def __repr__(self) -> str:
        """Show the ids of the keys, and nothing of the keys."""
        return f"<AesGcmCodec {', '.join(self._boxes)}>"

    def seal(self, payload: bytes, place: PayloadPlace, /) -> bytes:
        """Return the payload encrypted, as JSON."""
        box = self._current
        data = base64.b64encode(box.seal(payload, place.to_bytes())).decode()
        return encode_json({_SEAL: {"codec": _CODEC, "key": box.key_id, "data": data}})

    def open(self, kept: bytes, place: PayloadPlace, /) -> bytes:
        """Return what was sealed.

        Raises:
            PayloadError: it was not sealed, or under a key that is not at hand, or for another place, or was changed.
        """
        sealed = _read_seal(kept)
        if sealed is None:
            if self._accept_unsealed:
                return kept
            raise _refused(place, "is not sealed; AesGcmCodec(..., accept_unsealed=True) takes what was added before")
        box = self._boxes.get(sealed["key"])
        if box is None:
            known = ", ".join(self._boxes)
            raise _refused(place, f"is sealed with the key {sealed['key']!r}, which is not at hand; known: {known}")
        try:
            return box.open(base64.b64decode(sealed["data"], validate=True), place.to_bytes())
        except (_invalid_tag(), binascii.Error, ValueError) as exc:
            raise _refused(place, "was changed since it was sealed, or belongs to another job") from exc


class _Box:
    """One key."""

    def __init__(self, key_id: str, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as exc:
            raise ConfigurationError("encryption needs a library: pip install 'conveyor[encryption]'") from exc
        self.key_id = key_id
        # A key for each use, so that what one gives away says nothing of the other.
        self._cipher = AESGCM(_derived(key, b"conveyor seal"))
        self._nonce_key = _derived(key, b"conveyor nonce")

    def seal(self, payload: bytes, place: bytes) -> bytes:
        # The length keeps the two apart.
        message = len(place).to_bytes(8, "big") + place + payload
        nonce = hmac.digest(self._nonce_key, message, "sha256")[:_NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, payload, place)

    def open(self, data: bytes, place: bytes) -> bytes:
        return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place)


def _derived(key: bytes, use: bytes) -> bytes:
    return hmac.digest(key, use, "sha256")


def _key_bytes(key_id: str, key: bytes | str) -> bytes:
    try:
        found = base64.b64decode(key, validate=True) if isinstance(key, str) else key
    except (binascii.Error, ValueError):
        found = b""
    if not isinstance(found, bytes) or len(found) != _KEY_BYTES:
        # The key itself stays out of the message, wrong as it may be.
        raise ConfigurationError(f"key {key_id!r} must be {_KEY_BYTES} bytes, or these in base64")
    return found


def _read_seal(kept: bytes) -> dict[str, str] | None:
    """Return what stands in the seal, or None where there is none."""
    if not kept.startswith(b"{"):
        return None
    try:
        value: Any = decode_json(kept)
    except ValueError:
        return None
    seal = value.get(_SEAL) if len(value) == 1 else None
    if not isinstance(seal, dict) or seal.get("codec") != _CODEC:
        return None
    return seal if all(isinstance(seal.get(part), str) for part in ("key", "data")) else None


def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _refused(place: PayloadPlace, reason: str) -> PayloadError:
    return PayloadError(place.direction, "$", reason, name=place.name, job_id=place.job_id)
