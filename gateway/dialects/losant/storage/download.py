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
from gateway.web.downloads.serve import serve_file


def _no_credential(_: web.Request) -> Hashable:
    """All that decides is in the path and its query."""
    return "link"


READS: Final = ReadRules(credential_of=_no_credential, shown_name=short_name)


async def download(request: web.Request) -> web.StreamResponse:
    """The bytes, or a range of them."""
    return await serve_file(request, _resolve, READS)


async def _resolve(request: web.Request) -> tuple[Access, FileRecord]:
    parts = (request.match_info[name] for name in ("application", "file", "name"))
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
