"""What signing needs at run time, and the addresses that are signed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.dialects.losant.records import place_of
from gateway.model.access import Principal, PrincipalKind
from gateway.model.file import FileRecord
from gateway.web.signing.links import LinkSigner, version_name
from gateway.web.signing.sigv4 import Authority

BUCKET: Final = "private-files"
UPLOAD_PATH: Final = f"/{BUCKET}"
_LONGEST_NAME: Final = 512
_SHORT_NAME: Final = "content"


@dataclass(frozen=True, slots=True)
class Storage:
    """Who signs forms and links. A form can be posted for ``form_seconds``.

    ``redirects`` are beginnings of addresses that a form may send a browser on to.
    """

    authority: Authority
    links: LinkSigner
    form_seconds: float
    redirects: tuple[str, ...] = ()


STORAGE: Final = web.AppKey("losant_storage", Storage)


def link_path(record: FileRecord) -> str:
    """The path of a file's bytes, as it is signed; its end is there for people and their tools."""
    return f"{UPLOAD_PATH}/{record.scope.owner}/{record.name}/{short_name(record)}"


def short_name(record: FileRecord) -> str:
    """The name that its owner gave it, if that fits an address and a header."""
    name: str = record.attributes["name"]
    return name if len(quote(name, safe="")) <= _LONGEST_NAME else _SHORT_NAME


def version_of(record: FileRecord) -> str:
    """What a link is bound to: these bytes, here. Raises ``NotFound`` if there are none."""
    return version_name(record.content.id, place_of(record).inside)


def author_of(record: FileRecord, valid_until: float | None = None) -> Principal:
    """In whose name a form or a link acts: that of whoever made the file."""
    kind, role = PrincipalKind.USER, "user"
    if record.attributes["author_type"] != "user":
        kind, role = PrincipalKind.APPLICATION, record.attributes["author_type"]
    return Principal(kind, record.creator, role, (role,), valid_until=valid_until)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)
