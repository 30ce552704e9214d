"""The Hasura filestore: ``/v1/file/<file_id>``, one space of ids for the whole deployment.

The responses are those of the published page, to the letter. What it leaves open: a form with
one part ``file`` is taken like a raw body, and the conditions of RFC 9110 are honoured.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes
from uuid import UUID, uuid4

from aiohttp import web

from gateway.dialects.hasura.identity import USER_ID, credential_of, find_caller
from gateway.dialects.hasura.policy import ANONYMOUS_ROLE, POLICY, Policy
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.byterange import RangePolicy
from gateway.model.errors import Conflict, Forbidden, Malformed, NotFound, PreconditionFailed
from gateway.model.file import Draft, FileRecord, Scope, check_id, check_seen
from gateway.web.authentication import CALLERS, right_to
from gateway.web.context import FILES
from gateway.web.dialect import Route
from gateway.web.downloads.asked import ReadRules
from gateway.web.downloads.conditions import expected_blob
from gateway.web.downloads.serve import serve_file
from gateway.web.errors import MissingField
from gateway.web.proxies import single_header
from gateway.web.responses import json_reply
from gateway.web.uploads.context import Upload
from gateway.web.uploads.form import open_form
from gateway.web.uploads.receive import receive_raw

DIALECT: Final = "hasura"
SCOPE: Final = Scope("hasura", "default")
RANGE_HEADER: Final = "X-Hasura-Filestore-Range"
READS: Final = ReadRules(RangePolicy.STRICT_UNITS, RANGE_HEADER, credential_of, several=False)
_SHA256_HEADER: Final = "X-Filestore-Sha256"
_ANONYMOUS: Final = Principal(PrincipalKind.USER, "0", ANONYMOUS_ROLE)


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /v1/file/<file_id>``: a new file under the client's id."""
    return await _create(request, _file_id(request))


async def create_anew(request: web.Request) -> web.StreamResponse:
    """``POST /v1/file``: a new file under an id of ours."""
    return await _create(request, str(uuid4()))


async def upsert(request: web.Request) -> web.StreamResponse:
    """``PUT /v1/file/<file_id>``: new bytes, whether or not there is such a file."""
    access = await _authorise(request, Action.CREATE, _file_id(request))
    record = await _find_or_none(request, access)
    expected = expected_blob(request, record)
    if record is None:
        check_seen(access.name)
    only_new = record is None and "If-None-Match" in request.headers
    with _condition_holds() if only_new or expected else _naming(access.name):
        return await _receive(request, access, Mode.CREATE if only_new else Mode.PUT, expected)


async def download(request: web.Request) -> web.StreamResponse:
    """``GET`` and ``HEAD /v1/file/<file_id>``."""
    return await serve_file(request, _resolve, READS)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /v1/file/<file_id>``."""
    access = await _authorise(request, Action.DELETE, _file_id(request))
    files = request.app[FILES]
    with _naming(access.name):
        expected = expected_blob(request, await files.find(SCOPE, access.name))
        await files.remove(access, expected=expected)
    return json_reply({"file_id": access.name, "status": "deleted"})


async def refuse_no_id(_: web.Request) -> web.StreamResponse:
    """Everything but ``POST`` on ``/v1/file``: it is said what is missing."""
    raise MissingField("parameter", "file_id")


async def _resolve(request: web.Request) -> tuple[Access, FileRecord]:
    access = await _authorise(request, Action.READ, _file_id(request))
    with _naming(access.name):
        return access, await request.app[FILES].find(SCOPE, access.name)


async def _authorise(request: web.Request, action: Action, file_id: str) -> Access:
    """Who asks for what, allowed by the policy or else by the hook; the body is unread.

    Whether there is such a file is looked at later, so that a refusal does not depend on it.
    """
    access = await _permitted(request, action, file_id)
    await request.app[CALLERS].hook.authorise(access)
    return access


async def _permitted(request: web.Request, action: Action, file_id: str) -> Access:
    """Who asks for what, allowed by the policy if there is one."""
    policy = request.app[POLICY]
    principal = await find_caller(request) or _anonymous(policy, action)
    if policy is not None and not policy.allows(principal.role, action):
        raise Forbidden(f"no permission for role {principal.role}")
    authorization = single_header(request, "Authorization")
    return Access(principal, action, DIALECT, SCOPE, file_id, authorization)


def _anonymous(policy: Policy | None, action: Action) -> Principal:
    """Nobody in particular, where the policy lets everybody. A hook is always told who asks."""
    if policy is None or not policy.allows(ANONYMOUS_ROLE, action):
        raise MissingField("header", USER_ID)
    return _ANONYMOUS


async def _create(request: web.Request, file_id: str) -> web.StreamResponse:
    access = await _authorise(request, Action.CREATE, file_id)
    with _naming(file_id):
        if await _find_or_none(request, access) is not None:
            raise Conflict()  # now, and not after gigabytes
        expected_blob(request, None)
        check_seen(access.name)
        return await _receive(request, access, Mode.CREATE, None)


async def _receive(
    request: web.Request, access: Access, mode: Mode, expected: UUID | None
) -> web.StreamResponse:
    again = partial(_permitted, request, access.action, access.name)
    right = right_to(request, access, again)
    async with _received(request) as upload:
        caller = access.principal
        attributes = {"user_id": int(caller.id), "user_role": caller.role}
        draft = Draft(SCOPE, access.name, upload.content_type, attributes)
        deposit = Deposit(access, draft, mode, upload.claims, expected, guard=right)
        record = await request.app[FILES].deposit(deposit, upload.writer)
    # Not a member of the body, which is the published one to the letter.
    return json_reply(_shown(record), headers={_SHA256_HEADER: record.content.digest.hex})


@contextlib.asynccontextmanager
async def _received(request: web.Request) -> AsyncIterator[Upload]:
    """The file: the whole body, or the part ``file`` if the body is a form."""
    single_header(request, "Content-Type")
    if request.content_type == "multipart/form-data":
        async with open_form(request) as form:
            yield await form.read_file(SCOPE)
    else:
        async with receive_raw(request, SCOPE) as upload:
            yield upload


async def _find_or_none(request: web.Request, access: Access) -> FileRecord | None:
    with contextlib.suppress(NotFound):
        return await request.app[FILES].find(SCOPE, access.name)
    return None


def _file_id(request: web.Request) -> str:
    """The last segment of the path, decoded once and exactly. Raises ``Malformed``.

    Not ``match_info``, in which ``%FF`` and ``%25FF`` are one text and an escaped slash is
    a slash.
    """
    segment = request.rel_url.raw_path.rpartition("/")[2]
    try:
        return check_id(unquote_to_bytes(segment).decode())
    except ValueError as exc:
        raise Malformed("the file id is not UTF-8") from exc


@contextlib.contextmanager
def _naming(file_id: str) -> Iterator[None]:
    """What is absent or taken, in the table's words and with its id."""
    try:
        yield
    except NotFound as exc:
        raise NotFound(f"file not found : {file_id}") from exc
    except Conflict as exc:
        raise Conflict(f"file already exists : {file_id}") from exc


@contextlib.contextmanager
def _condition_holds() -> Iterator[None]:
    """A file that came or went since the condition was looked at: it does not hold any more."""
    try:
        yield
    except (Conflict, NotFound) as exc:
        raise PreconditionFailed() from exc


def _shown(record: FileRecord) -> Mapping[str, object]:
    return {
        "file_id": record.name,
        "content_type": record.content_type,
        "file_status": "uploaded",
        "file_size": record.content.size,
        "user_id": record.attributes["user_id"],
        "user_role": record.attributes["user_role"],
        "created_at": record.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }


_COLLECTION: Final = ("/v1/file", "/v1/file/")
_FILE: Final = "/v1/file/{file_id:[^/]+}"
ROUTES: Final = (
    *(Route("POST", path, create_anew) for path in _COLLECTION),
    *(
        Route(method, path, refuse_no_id)
        for path in _COLLECTION
        for method in ("GET", "HEAD", "PUT", "DELETE")
    ),
    Route("POST", _FILE, create),
    Route("PUT", _FILE, upsert),
    Route("GET", _FILE, download),
    Route("HEAD", _FILE, download),
    Route("DELETE", _FILE, remove),
)
