"""The gateway's rules in the order in which a reading request meets them."""

from __future__ import annotations

from gateway.model.byterange import ByteRange, RangePolicy, parse_range, parse_ranges
from gateway.model.errors import RangeMalformed, RangeUnsatisfiable, SeveralRanges
from gateway.model.precondition import Conditions, Outcome, Validators, evaluate, range_holds
from tests.oracle.requests import NOW, Request
from tests.oracle.rfc9110 import Answer, Resource


def answer(request: Request) -> Answer:
    """What the gateway would say, in the oracle's words."""
    resource = request.resource
    validators = Validators(resource.etag, resource.modified) if resource else None
    conditions = _conditions(request.headers)
    outcome = evaluate(conditions, validators, method=request.method, now=NOW)
    if outcome is Outcome.FAILED:
        return Answer(412)
    if outcome is Outcome.NOT_MODIFIED:
        return Answer(304)
    if resource is None or validators is None:
        return Answer(404 if request.method in ("GET", "HEAD") else 200)
    header = request.headers.get("range") if request.method == "GET" else None
    if not range_holds(conditions.if_range, validators, now=NOW):
        header = None
    return _ranged(header, resource, request)


def _conditions(headers: dict[str, str]) -> Conditions:
    return Conditions(
        if_match=headers.get("if-match"),
        if_none_match=headers.get("if-none-match"),
        if_modified_since=headers.get("if-modified-since"),
        if_unmodified_since=headers.get("if-unmodified-since"),
        if_range=headers.get("if-range"),
    )


def _ranged(header: str | None, resource: Resource, request: Request) -> Answer:
    try:
        chosen = _chosen(header, resource.size, request)
    except RangeMalformed:
        return Answer(400, reason="malformed")
    except SeveralRanges:
        return Answer(400, reason="several")
    except RangeUnsatisfiable:
        return Answer(416)
    if chosen is None:
        return Answer(200, range(resource.size))
    spans = tuple(range(span.start, span.stop) for span in chosen)
    return Answer(206, spans[0]) if len(spans) == 1 else Answer(206, reason="parts", parts=spans)


def _chosen(header: str | None, size: int, request: Request) -> tuple[ByteRange, ...] | None:
    policy = RangePolicy.STRICT_UNITS if request.strict else RangePolicy.LENIENT_UNITS
    if request.several:
        return parse_ranges(header, size, policy)
    chosen = parse_range(header, size, policy)
    return None if chosen is None else (chosen,)
