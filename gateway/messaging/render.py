"""What is queued for webhooks, and what they are sent in the format that they want.

Pure: messages and queued text in, bytes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from gateway.messaging.records import Delivery, Format, Origin
from gateway.messaging.senml import Record, shown_pack

SENT: Final = "messages"
_SENML_TYPE: Final = "application/senml+json"
_JSON_TYPE: Final = "application/json"


def queued(origin: Origin, records: Sequence[Record]) -> str:
    """A message as it waits in the outbox."""
    body = {**asdict(origin), "records": [asdict(record) for record in records]}
    return orjson.dumps(body).decode()


def rendered(delivery: Delivery) -> tuple[str, bytes]:
    """The content type and the bytes to send."""
    if delivery.event != SENT:
        return _JSON_TYPE, delivery.body.encode()
    body: dict[str, Any] = orjson.loads(delivery.body)
    records = [Record(**record) for record in body.pop("records")]
    if delivery.format is Format.SENML:
        return _SENML_TYPE, orjson.dumps(shown_pack(records))
    origin = Origin(**body)
    return _JSON_TYPE, orjson.dumps([shown_message(origin, record) for record in records])


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
