"""Which file an address means, and what the caller may do with it.

An address is a ``ThingUUID``, which is unique, or a GUID, which is not. Of the files with a GUID
comes first what the caller owns, then what is shared with a group that they are in, then what is
global; of several of one rank the one that was updated last.

Rule: what the caller may not see is absent. Whoever asks as administrator means the
``ThingUUID``, and sees all.
"""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from gateway.dialects.gravwell.credentials import Caller
from gateway.dialects.gravwell.records import guid_of, is_shared_with, is_writable_for
from gateway.filestore import Filestore
from gateway.identity.users import SCOPE_KIND
from gateway.model.errors import Forbidden, Malformed, NotFound
from gateway.model.file import FileRecord


async def find(files: Filestore, caller: Caller, address: UUID) -> FileRecord:
    """The file that the address means to the caller. Raises ``NotFound``."""
    record = await _find_thing(files, address)
    if record is not None and (caller.as_admin or is_visible(record, caller)):
        return record
    if caller.as_admin:
        raise NotFound()
    return await _find_by_guid(files, caller, address)


def is_own(record: FileRecord, caller: Caller) -> bool:
    """Whether the caller owns the file, or asks as administrator, who owns all."""
    return caller.as_admin or record.scope == caller.scope


def is_visible(record: FileRecord, caller: Caller) -> bool:
    """Whether the caller may read the file."""
    return record.scope == caller.scope or is_shared_with(record, caller.groups)


def check_owned(record: FileRecord, caller: Caller) -> None:
    """Raise ``Forbidden`` unless the file is the caller's, to share, give away and remove."""
    if not is_own(record, caller):
        raise Forbidden()


def check_writable(record: FileRecord, caller: Caller) -> None:
    """Raise ``Forbidden`` unless the caller may change what is in the file.

    Raises ``NotFound`` if they may not even see it.
    """
    if is_own(record, caller) or is_writable_for(record, caller.groups):
        return
    raise Forbidden() if is_visible(record, caller) else NotFound()


def guid_mark(guid: UUID | str) -> str:
    """How a change of rights names a GUID whose meaning may have changed.

    With a word before it: a GUID may be chosen, and must not be that of somebody.
    """
    return f"guid/{guid}"


def address_of(request: web.Request) -> UUID:
    """The path's id. Raises ``Malformed``."""
    return parse_address(request.match_info["id"])


def parse_address(text: str) -> UUID:
    """A file's address in text. Raises ``Malformed``."""
    address = guid_of(text)
    if address is None:
        raise Malformed("malformed GUID")
    return address


async def _find_thing(files: Filestore, address: UUID) -> FileRecord | None:
    try:
        record = await files.find_by_id(address)
    except NotFound:
        return None
    return record if record.scope.kind == SCOPE_KIND else None


async def _find_by_guid(files: Filestore, caller: Caller, guid: UUID) -> FileRecord:
    shares = [f"{guid}/{number}" for number in sorted(caller.groups)]
    found = await files.select("gravwell/find", str(guid), caller.scope.owner, shares)
    if not found:
        raise NotFound()
    return found[0]
