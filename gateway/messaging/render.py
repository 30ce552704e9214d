"""What is queued for webhooks, and what they are sent in the format that they want.

Pure: messages and queued text in, bytes out. A message is kept as it was sent; what is made of it
is made anew for each delivery, and comes to the same each time.

What happened to a file is queued as it is, by the statement that changed it (the function
``tell_of_file`` of the schema); only here does it get the words of the webhooks' API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.messaging.records import Delivery, Format, Origin, SentMessage
from gateway.messaging.senml import Record, parse_pack, shown_pack
from gateway.model.json import parse_json

SENT: Final = "messages"
FILES: Final = "files"
_SENML_TYPE: Final = "application/senml+json"
_JSON_TYPE: Final = "application/json"
_FILE_EVENTS: Final = {
    "created": "uploaded",
    "replaced": "replaced",
    "removed": "deleted",
    "damaged": "damaged",
    "repaired": "repaired",
}
_FILE_FIELDS: Final = ("name", "size", "time", "sha256", "content_type")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One delivery in its webhook's words. ``event`` is what its header says that it is."""

    event: str
    content_type: str
    body: bytes


def records_of(sent: SentMessage) -> list[Record]:
    """What the message says. Raises ``Malformed`` and ``TooLarge``."""
    return parse_pack(parse_json(sent.body), now=sent.received_at)


def rendered(delivery: Delivery) -> Rendered:
    """What to send."""
    if delivery.event == SENT:
        return _rendered_messages(delivery)
    if delivery.event == FILES:
        return _rendered_file_event(delivery)
    # Queued by an earlier release, which worded it then.
    return Rendered(delivery.event, _JSON_TYPE, delivery.body.encode())


def _rendered_messages(delivery: Delivery) -> Rendered:
    sent = delivery.message
    if sent is None:
        return _rendered_resolved(delivery)
    if delivery.format is Format.RESOLVED:
        return Rendered(SENT, _SENML_TYPE, orjson.dumps(shown_pack(records_of(sent))))
    if delivery.format is Format.RECORDS:
        return Rendered(SENT, _JSON_TYPE, _shown(sent.origin, records_of(sent)))
    return Rendered(SENT, _JSON_TYPE, sent.body)


def _rendered_resolved(delivery: Delivery) -> Rendered:
    """A message of which an earlier release queued what it came to, not what was sent."""
    body: dict[str, Any] = orjson.loads(delivery.body)
    records = [Record(**record) for record in body.pop("records")]
    if delivery.format is Format.RECORDS:
        return Rendered(SENT, _JSON_TYPE, _shown(Origin(**body), records))
    kind = _SENML_TYPE if delivery.format is Format.RESOLVED else _JSON_TYPE
    return Rendered(SENT, kind, orjson.dumps(shown_pack(records)))


def _shown(origin: Origin, records: Sequence[Record]) -> bytes:
    return orjson.dumps([shown_message(origin, record) for record in records])


def _rendered_file_event(delivery: Delivery) -> Rendered:
    told: dict[str, Any] = orjson.loads(delivery.body)
    event = _FILE_EVENTS[told["event"]]
    known = {field: told[field] for field in _FILE_FIELDS if told[field] is not None}
    body = {"event": event, "thing_id": str(delivery.thing_id), **known}
    return Rendered(f"file.{event}", _JSON_TYPE, orjson.dumps(body))


def shown_message(origin: Origin, record: Record) -> dict[str, object]:
    """A message as JSON, with the names of its fields in every generation of the API."""
    shown = {
        "channel": str(origin.channel_id),
        "channel_name": str(origin.channel_id),
        "subtopic": origin.subtopic or None,
        "publisher": str(origin.publisher),
        "protocol": origin.protocol,
        "name": record.name,
        "unit": record.unit or None,
        "time": record.time,
        "update_time": record.update_time,
        "value": record.value,
        "string_value": record.string_value,
        "data_value": record.data_value,
        "bool_value": record.bool_value,
        "sum": record.sum,
    }
    return {name: value for name, value in shown.items() if value is not None}
