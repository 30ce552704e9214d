"""What a file is, by its first bytes, as browsers find it out (WHATWG MIME Sniffing)."""

from __future__ import annotations

from typing import Final

from xtractmime import extract_mime

EMPTY: Final = "empty"  # the product's word for the type of nothing
_ANY: Final = b"application/octet-stream"
_MORE: Final = b"x" * 64  # begins no type's mark, and ends none
_UTF_16: Final = {b"\xfe\xff": "utf-16be", b"\xff\xfe": "utf-16le"}


def sniff(head: bytes) -> str:
    """The media type of a file that begins so; a text has a charset, which its mark may name."""
    kind = (_extracted(head) or _ANY).decode("ascii")
    if not kind.startswith("text/"):
        return kind
    return f"{kind}; charset={_UTF_16.get(head[:2], 'utf-8')}"


def _extracted(head: bytes) -> bytes | None:
    """What the package says, which looks behind the end of little more than white space."""
    try:
        found: bytes | None = extract_mime(head)
    except IndexError:
        found = extract_mime(head + _MORE)
    return found


class Sniffer:
    """A form's tap: keeps the type of what it was shown."""

    def __init__(self) -> None:
        self.content_type = sniff(b"")

    def __call__(self, head: bytes) -> None:
        """Look at the first bytes of the file."""
        self.content_type = sniff(head)
