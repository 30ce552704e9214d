"""Media types: what a file's bytes are said to be.

A stored type is data of the client's that later becomes a header of ours, so it is checked
once, here. Does not look at bytes.

Rule: the same name gives the same type on every machine, whatever files lie in ``/etc``
and whatever Python runs there; so the table is our own.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.errors import Malformed

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"

_MAX_BYTES: Final = 255
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[ !#-\[\]-~]|\\[ -~])*+"'
_CONTENT_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?: *; *(?:{_WORD}=(?:{_WORD}|{_QUOTED}))?)*+")

_BY_EXTENSION: Final = {
    "7z": "application/x-7z-compressed",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "bz2": "application/x-bzip2",
    "cbor": "application/cbor",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "log": "text/plain",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "ogg": "audio/ogg",
    "otf": "font/otf",
    "parquet": "application/vnd.apache.parquet",
    "pcap": "application/vnd.tcpdump.pcap",
    "pdf": "application/pdf",
    "pem": "application/x-pem-file",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "toml": "application/toml",
    "tsv": "text/tab-separated-values",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}


def check_content_type(value: str) -> str:
    """The value itself, if it can be stored and sent back as a ``Content-Type``.

    A media type of RFC 9110, section 8.3.1, with or without parameters, in printable
    ASCII and at most 255 bytes. Raises ``Malformed``.
    """
    if len(value) > _MAX_BYTES or not _CONTENT_TYPE.fullmatch(value):
        raise Malformed("malformed content type")
    return value


def stored_content_type(declared: str) -> str:
    """What bytes are stored as whose sender says ``declared`` of them: octets, if that is none.

    Programs say ``binary``, ``image`` or ``text/plain; charset=`` of what they send, and to refuse
    the bytes for that would help nobody.
    """
    plausible = len(declared) <= _MAX_BYTES and _CONTENT_TYPE.fullmatch(declared)
    return declared if plausible else DEFAULT_CONTENT_TYPE


def guess_content_type(name: str) -> str:
    """The media type that a file name's last extension stands for, else octets."""
    _, dot, extension = name.rpartition(".")
    return _BY_EXTENSION.get(extension.lower() if dot else "", DEFAULT_CONTENT_TYPE)
