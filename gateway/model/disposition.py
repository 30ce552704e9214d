"""Content-Disposition: how a file's name is written in a header, and read from one.

Knows RFC 6266 and 8187 (writing), RFC 7578 and what browsers, curl and device libraries
send in multipart bodies (reading). Does not know which names are allowed (``file``).

Rule: a name is read exactly or refused. The parsers of the multipart libraries skip what
they cannot read (``filename=a b`` becomes ``a``, the last of two names wins), and then two
servers see two names in one header; so the grammar is written out here.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from gateway.model.errors import Malformed

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_TYPE: Final = re.compile(_WORD)
_PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_ESCAPE: Final = re.compile(r'\\(["\\])')
_BROWSER_ESCAPE: Final = re.compile(r"%(22|0D|0A)")
_EXTENDED: Final = re.compile(
    r"utf-8'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)", re.IGNORECASE
)
_PLAIN: Final = re.compile(r"[ !#$&-\[\]-~]*")
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_ATTR_CHARS: Final = "!#$&+^`|"  # RFC 8187, section 3.2.1, beyond what is never quoted


def attachment(name: str) -> str:
    """The value that makes a client save a body as ``name`` (RFC 6266, section 4).

    Plain ASCII needs no second form. Else ``filename`` is a fallback with ``_`` for every
    other character, and ``filename*`` has the name itself. ``name`` is one that
    ``check_name`` passed; the value is printable ASCII whatever it is.
    """
    fallback = _UNPRINTABLE.sub("_", name).replace("\\", "\\\\").replace('"', '\\"')
    value = f'attachment; filename="{fallback}"'
    if _PLAIN.fullmatch(name):
        return value
    encoded = quote(name.encode("utf-8", "replace"), safe=_ATTR_CHARS)
    return f"{value}; filename*=UTF-8''{encoded}"


def parse_disposition(value: str) -> tuple[str, dict[str, str]]:
    r"""The disposition type and the parameters of a part header, names in lower case.

    A quoted value may hold UTF-8 and semicolons. In it ``\"`` and ``\\`` are escapes (curl
    before 7.81, Python, Go) and any other backslash stands for itself (browsers send it
    raw); ``%22``, ``%0D`` and ``%0A`` are decoded (browsers, curl since 7.81) unless the
    value has a backslash escape, whose writers leave per cent signs alone. ``filename*``,
    which RFC 7578 forbids and some clients send, takes the place of ``filename``.

    Raises ``Malformed``, also for a repeated parameter.
    """
    kind = _TYPE.match(value)
    if kind is None or _FORBIDDEN.search(value):
        raise Malformed("malformed content disposition")
    return kind.group().lower(), _plain_names(_parameters(value.rstrip(" \t"), kind.end()))


def _parameters(value: str, position: int) -> dict[str, str]:
    found: dict[str, str] = {}
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            raise Malformed("malformed content disposition")
        position = match.end()
        if match[1] is None:
            continue
        name = match[1].lower()
        if name in found:
            raise Malformed("repeated parameter in content disposition")
        found[name] = _extended(match[2]) if name.endswith("*") else _unquoted(match[2])
    return found


def _plain_names(parameters: dict[str, str]) -> dict[str, str]:
    extended = {name[:-1]: text for name, text in parameters.items() if name.endswith("*")}
    plain = {name: text for name, text in parameters.items() if not name.endswith("*")}
    return plain | extended


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    inner = text[1:-1]
    if _ESCAPE.search(inner):
        return _ESCAPE.sub(r"\1", inner)
    return _BROWSER_ESCAPE.sub(lambda match: chr(int(match[1], 16)), inner)


def _extended(text: str) -> str:
    match = _EXTENDED.fullmatch(text)
    if match is None:
        raise Malformed("malformed content disposition")
    try:
        return unquote_to_bytes(match[1]).decode()
    except UnicodeDecodeError as exc:
        raise Malformed("malformed content disposition") from exc
