"""A GET or HEAD of a file: look up, decide, deliver.

Rule: Content-Length always, Content-Encoding never. A transfer that cannot be finished is
cut, never ended as if it were whole.
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

from gateway.filestore import check_sound
from gateway.web import edge
from gateway.web.downloads.asked import STANDARD, ReadRules, asked_by, pins_of
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.downloads.decide import check_pins, decide
from gateway.web.downloads.deliver.choose import deliver
from gateway.web.downloads.lookup import Resolve, look_up
from gateway.web.seen import note_principal
from gateway.web.server.exchange import REQUEST_ID


async def serve_file(
    request: web.Request, resolve: Resolve, rules: ReadRules = STANDARD
) -> web.StreamResponse:
    """The response to a GET or HEAD.

    ``resolve`` finds out who asks, applies the dialect's rules and the hook, and finds the
    row; what it says is kept for a moment under the path and the credential that ``rules`` take
    from the request, which must be everything that it looks at. The hook is asked every time.
    An nginx in edge mode gets the decision instead of the file.

    Raises what ``resolve`` raises, ``InQuarantine``, ``PreconditionFailed``, a range error, or
    ``BlobMissing``.
    """
    downloads, for_edge = request.app[DOWNLOADS], edge.is_asked(request)
    kept = edge.WORTH_KEEPING_SECONDS if for_edge else None
    resolved = await look_up(request, downloads, resolve, rules, decision_seconds=kept)
    note_principal(request, resolved.access.principal)
    try:
        check_sound(resolved.record)
        asked = asked_by(request, rules, several_ranges=downloads.several_ranges)
        _leave_room(request)
        version, watch = resolved.version, downloads.watch
        if for_edge:
            check_pins(asked, version)
            watch.forget(resolved.read_id)
            return await edge.decide(request, downloads, resolved)
        continues_other = partial(
            watch.continues_other_version, resolved.read_id, version.validators.etag
        )
        shown = decide(asked, version, continues_other)
        return await deliver(request, downloads, resolved, asked, shown)
    finally:
        resolved.reader.release()


def _leave_room(request: web.Request) -> None:
    """An address with a digest may be kept for a year, which takes long to say.

    Some devices have 640 bytes for all headers: there the request's name is in the logs only.
    """
    if pins_of(request):
        request.pop(REQUEST_ID, None)
