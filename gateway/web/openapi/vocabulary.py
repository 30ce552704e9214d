"""What a route accepts and returns, as values: the words in which a dialect describes itself.

Knows JSON Schema and HTTP's nouns; ``openapi`` knows how the document is put together.

Rule: a thing is described once. What several routes share is a named schema, a named
parameter or a constant here; the statuses that a status table implies are never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

Schema = Mapping[str, object]

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
OCTETS: Final = "application/octet-stream"
ANY_BYTES: Final = "*/*"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or header; parameters of the path are found in the path itself."""

    name: str
    place: str
    schema: Schema
    description: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What comes back with one status. Without ``content`` (schema by media type): no body."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Security:
    """A scheme by its name, and the value that the document's ``securitySchemes`` has for it."""

    name: str
    scheme: Schema


Credentials = tuple[tuple[Security, ...], ...]
"""Alternatives, each a set of schemes that are needed together; an empty one is nobody."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: what it does, takes and returns.

    ``refusals`` are statuses whose bodies are the dialect's refusal, beside those that
    every route, and every route with a body, may return.
    """

    summary: str
    _: KW_ONLY
    responses: Mapping[int, Response]
    refusals: tuple[int, ...] = ()
    credentials: Credentials = ()
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Schema] | None = None
    body_required: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Operations that belong together, by ``"GET /things/{id}"``; ``"GET,HEAD ..."`` is two."""

    name: str
    description: str
    operations: Mapping[str, Operation]


@dataclass(frozen=True, slots=True)
class Description:
    """All that a dialect says of itself.

    ``refusal`` is the body of every refusal, of ``refusal_type``. ``always`` are the statuses
    that any route may refuse with, ``reading_body`` those of any route that takes a body.
    ``path_parameters`` gives schemas to names in paths; what it leaves out is any text.
    """

    chapters: tuple[Chapter, ...] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    refusal: Schema = field(default_factory=dict)
    refusal_type: str = JSON
    always: tuple[int, ...] = (400, 417, 429, 500, 503)
    reading_body: tuple[int, ...] = (408, 413, 415)
    path_parameters: Mapping[str, Schema] = field(default_factory=dict)


def named(schema: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{schema}"}


def array(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """A JSON object with these members; others may follow in a later version."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        **({"required": list(required)} if required else {}),
    }


def json_response(
    description: str, schema: Schema, headers: Mapping[str, Schema] | None = None
) -> Response:
    """A JSON body."""
    return Response(description, {JSON: schema}, headers or {})


def query(name: str, schema: Schema, description: str = "") -> Parameter:
    """A query parameter that may be left out."""
    return Parameter(name, "query", schema, description)


def header(name: str, schema: Schema, description: str = "") -> Parameter:
    """A header that may be left out."""
    return Parameter(name, "header", schema, description)


TEXT: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
ANY_OBJECT: Final[Schema] = {"type": "object"}
BYTES: Final[Schema] = {"type": "string", "format": "binary"}
