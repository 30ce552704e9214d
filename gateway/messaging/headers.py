"""Headers of a webhook's own, for a receiver that wants a credential or a route from us.

Pure: JSON values in, checked headers out.

Rule: none of them changes how the request is framed or where it goes, nor says what only the
gateway or a proxy says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.model.errors import Malformed

_MOST: Final = 16
_MOST_CHARACTERS: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,1022}[\x21-\x7e])?")
# RFC 9110, 7.6.1 and 8: of one connection, or of the body and the request as we send them.
_OURS: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "http2-settings", "host", "expect", "content-length", "content-type"),
        *("content-encoding", "content-digest", "repr-digest", "accept-encoding", "user-agent"),
        *("date", "forwarded", "via", "x-real-ip", "max-forwards"),
    }
)
_OUR_PREFIXES: Final = (
    *("webhook-", "x-webhook-", "x-filestore-", "x-forwarded-", "x-accel-"),
    *("proxy-", "sec-"),
)


def check_headers(value: object, known: Mapping[str, str]) -> dict[str, str]:
    """The headers of a JSON object. One whose value is ``null`` is as it is ``known``.

    Raises ``Malformed``.
    """
    if not isinstance(value, dict):
        raise Malformed("headers is not a JSON object")
    if len(value) > _MOST:
        raise Malformed(f"a webhook has at most {_MOST} headers of its own")
    names = {name.lower() for name in value}
    if len(names) < len(value):
        raise Malformed("a header is named twice")
    checked = {name: _checked(name, text, known) for name, text in value.items()}
    if sum(len(name) + len(text) for name, text in checked.items()) > _MOST_CHARACTERS:
        raise Malformed(f"a webhook's headers have at most {_MOST_CHARACTERS} characters")
    return checked


def _checked(name: str, value: object, known: Mapping[str, str]) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(name):
        raise Malformed("a header's name has other characters than a name has")
    if lower in _OURS or lower.startswith(_OUR_PREFIXES):
        raise Malformed("a header is none that a webhook may set")
    if value is None and name in known:
        return known[name]
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise Malformed("a header's value is not 1 to 1024 characters of printable ASCII")
    return value
