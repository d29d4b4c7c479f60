"""URLs without the secrets in them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["masked"]

# The password ends at the last @ before the path: a careless one may hold an @ itself.
_PASSWORD: Final = re.compile(r"(?P<before>^[^:/]+://[^:/@]*):[^/]*@")
_SECRET_OPTION: Final = re.compile(
    r"(?P<name>[?&][^=&]*(?:password|passwd|passphrase|secret|token|key)[^=&]*)=[^&]*", re.IGNORECASE
)


def masked(url: str) -> str:
    """Return a URL whose password, and whose options that sound like a secret, are three stars.

    >>> masked("postgresql://ada:s3cret@db/jobs?sslpassword=x&pool=3")
    'postgresql://ada:***@db/jobs?sslpassword=***&pool=3'
    """
    return _SECRET_OPTION.sub(r"\g<name>=***", _PASSWORD.sub(r"\g<before>:***@", url))
