"""``GET /private-files/<application>/<file>/<name>?...``: a file by its signed link.

Rule: the link is the credential. It is checked before anything is looked up; then the file must
still be where it was, with the bytes that the link was given away for.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Final

from aiohttp import web

from gateway.dialects.losant.records import DIALECT, scope_of
from gateway.dialects.losant.storage.context import (
    STORAGE,
    UPLOAD_PATH,
    author_of,
    link_path,
    short_name,
    version_of,
)
from gateway.model.access import Access, Action
from gateway.model.errors import NotFound
from gateway.model.file import FileRecord
from gateway.web.authentication import CALLERS
from gateway.web.context import FILES
from gateway.web.downloads.asked import ReadRules
from gateway.web.downloads.beside import ABSENT, serve_named
from gateway.web.signing.refusals import NotAllowed, WrongSignature


def _no_credential(_: web.Request) -> Hashable:
    """All that decides is in the path and its query."""
    return "link"


_ABSENT: Final = (*ABSENT, NotAllowed, WrongSignature)
"""A link is signed for the file's own name, not for that of the digest beside it."""

READS: Final = ReadRules(credential_of=_no_credential, shown_name=short_name)


async def download(request: web.Request) -> web.StreamResponse:
    """The bytes, or a range of them."""
    name = request.match_info["name"]
    return await serve_named(request, name, _resolve, READS, absent=_ABSENT)


async def _resolve(request: web.Request, name: str) -> tuple[Access, FileRecord]:
    parts = (request.match_info["application"], request.match_info["file"], name)
    path = "/".join((UPLOAD_PATH, *parts))
    link = request.app[STORAGE].links.check(path, request.query, time.time())
    record = await request.app[FILES].find(
        scope_of(request.match_info["application"]), request.match_info["file"]
    )
    if link_path(record) != path or version_of(record) != link.version:
        raise NotFound()
    author = author_of(record, valid_until=link.expires)
    access = Access(author, Action.READ, DIALECT, record.scope, record.name)
    await request.app[CALLERS].hook.authorise(access)
    return access, record
