"""What the Mainflux descriptions share: pages, metadata, places, names of things in paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.web.openapi.vocabulary import (
    ANY_OBJECT,
    COUNT,
    TEXT,
    UUID,
    Response,
    Schema,
    array,
    query,
    record,
)

REFUSAL: Final[Schema] = {"$ref": "#/components/schemas/MainfluxError"}
PATH_PARAMETERS: Final[Mapping[str, Schema]] = {"id": UUID, "thing_id": UUID}

# Go's decoder, and so the field's clients, take null for what is not there.
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
METADATA_OR_NULL: Final[Schema] = {"type": ["object", "null"]}
FLAG_OR_NULL: Final[Schema] = {"type": ["boolean", "null"]}
LABEL: Final[Schema] = {"type": ["string", "null"], "maxLength": 1024}

LIMIT: Final = query(
    "limit",
    {"type": "integer", "minimum": -1, "maximum": 200, "default": 10},
    "How many at most; 0 or -1 for as many as a page can have.",
)
OFFSET: Final = query("offset", {"type": "integer", "minimum": 0, "default": 0})
DIRECTION: Final = query("dir", {"enum": ["asc", "desc"]})
METADATA: Final = query("metadata", TEXT, "A JSON object that the metadata must contain.")
LISTING: Final = (
    LIMIT,
    OFFSET,
    query("order", {"enum": ["name", "id"]}),
    DIRECTION,
    METADATA,
)
NAMED_LISTING: Final = (*LISTING, query("name", TEXT, "A part of the name, in either case."))

EMPTY: Final = Response("Done")
REMOVED: Final = Response("Removed")
LOCATION: Final[Mapping[str, Schema]] = {"Location": TEXT}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "MainfluxError": record({"error": TEXT}, {"code": TEXT}),
    "Metadata": ANY_OBJECT,
}


def page(items: Mapping[str, Schema], extra: Mapping[str, Schema] | None = None) -> Schema:
    """One page of a list; ``items`` are its arrays by name."""
    arrays = {name: array(schema) for name, schema in items.items()}
    return record({"total": COUNT, "offset": COUNT, "limit": COUNT, **arrays, **(extra or {})})
