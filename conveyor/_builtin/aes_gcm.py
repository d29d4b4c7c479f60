"""The payload codec in the box: AES-GCM, with keys from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import PayloadCodecProvider
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.payload import PayloadCodec

__all__ = ["conveyor_payload_codecs"]


def _create() -> PayloadCodec:
    from conveyor.codec.encryption import AesGcmCodec

    return AesGcmCodec.from_environment()


@hookimpl
def conveyor_payload_codecs() -> Sequence[PayloadCodecProvider]:
    """Offer the codec under the name "aes-gcm"."""
    return (PayloadCodecProvider(name="aes-gcm", create=_create, contract_version=CONTRACT_VERSION),)
