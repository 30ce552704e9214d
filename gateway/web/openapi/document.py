"""The OpenAPI 3.1 document: what every dialect says of itself, put together.

Knows the form of the document. Does not know any API.

Rule: what follows from the house's own rules (the body and headers of each refusal, the
parameters in a path, that HEAD has no body) is written here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from gateway.web.openapi.vocabulary import (
    TEXT,
    Chapter,
    Description,
    Operation,
    Parameter,
    Response,
    Schema,
    Security,
)

Described = tuple[str, Description, bool]
"""A name, what it says of itself, and whether its routes are found under the prefix too."""

_TITLE: Final = "Filestore Gateway"
_SUMMARY: Final = "Publish a firmware image once; every device gets exactly those bytes."
_PATH_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
_SERVER_FAULT: Final = 500
_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    type(None): "null",
}
_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request, or what it carries, is malformed",
    401: "No credential, or one that proves nothing",
    403: "The caller may not do this",
    404: "Absent, or not the caller's to see",
    405: "Not with this method",
    408: "The body stalled or came too slowly",
    409: "The name or id is taken",
    412: "A condition does not hold",
    413: "Too large",
    415: "The content type or coding is not accepted here",
    416: "The range lies outside the file",
    417: "An expectation other than 100-continue",
    429: "Too many requests or uploads at once; try again",
    500: "A fault of ours",
    503: "Not available now; try again",
    507: "No room for the file",
}
_REFUSAL_HEADERS: Final[Mapping[int, tuple[str, Schema]]] = {
    401: ("WWW-Authenticate", TEXT),
    405: ("Allow", TEXT),
    416: ("Content-Range", {"type": "string", "pattern": r"^bytes \*/[0-9]+$"}),
    429: ("Retry-After", {"type": "integer"}),
    503: ("Retry-After", {"type": "integer"}),
}


def document(described: Sequence[Described], *, version: str, prefix: str) -> dict[str, object]:
    """The whole document, ready to be written as JSON."""
    whole = _put_together(described, version, prefix)
    return {key: _typed(part) for key, part in whole.items()}


def _put_together(described: Sequence[Described], version: str, prefix: str) -> dict[str, object]:
    paths: dict[str, dict[str, object]] = {}
    for name, description, prefixed in described:
        for chapter in description.chapters:
            for method, path, operation in each_operation(chapter):
                item = paths.setdefault(path, {} if prefixed else {"servers": [{"url": "/"}]})
                item[method.lower()] = _operation(
                    name, description, chapter.name, method, path, operation
                )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": _TITLE,
            "summary": _SUMMARY,
            "version": version,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": prefix or "/"}, *([{"url": "/"}] if prefix else [])],
        "tags": [
            {"name": chapter.name, "description": chapter.description}
            for _, description, _ in described
            for chapter in description.chapters
        ],
        "paths": paths,
        "components": _components(described),
    }


def _typed(node: object) -> object:
    """``node`` with a ``type`` beside each ``enum`` and ``const``.

    They imply it, but generators for languages with types do not infer it.
    """
    if isinstance(node, Mapping):
        written = {key: _typed(value) for key, value in node.items()}
        types = [] if "type" in node else _types(node)
        return {**written, **({"type": types if len(types) > 1 else types[0]} if types else {})}
    return [_typed(item) for item in node] if isinstance(node, list | tuple) else node


def _types(node: Schema) -> list[str]:
    """The JSON types of the values that an ``enum`` or ``const`` allows, each once."""
    listed = node.get("enum")
    allowed = listed if isinstance(listed, list) else [node["const"]] if "const" in node else []
    return list(dict.fromkeys(_TYPES[type(value)] for value in allowed))


def each_operation(chapter: Chapter) -> Iterator[tuple[str, str, Operation]]:
    """Method, path and operation of every route of the chapter."""
    for key, operation in chapter.operations.items():
        methods, path = key.split(" ")
        for method in methods.split(","):
            yield method, path, operation


def _operation(
    name: str, description: Description, tag: str, method: str, path: str, operation: Operation
) -> dict[str, object]:
    written: dict[str, object] = {
        "tags": [tag],
        "operationId": _operation_id(method, path),
        "summary": operation.summary,
        "responses": _responses(name, description, method, operation),
        "security": [
            {security.name: [] for security in together} for together in operation.credentials
        ],
    }
    if operation.description:
        written["description"] = operation.description
    parameters = [*_of_path(path, description), *map(_parameter, operation.parameters)]
    if parameters:
        written["parameters"] = parameters
    if operation.body is not None:
        content = {media: {"schema": schema} for media, schema in operation.body.items()}
        written["requestBody"] = {"required": operation.body_required, "content": content}
    return written


def _operation_id(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").strip("/").replace("/", "_")
    return f"{method.lower()}_{words}{'_slash' if path.endswith('/') else ''}"


def _of_path(path: str, description: Description) -> Iterator[dict[str, object]]:
    for name in _PATH_PARAMETER.findall(path):
        schema = description.path_parameters.get(name, TEXT)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(parameter: Parameter) -> dict[str, object]:
    written = {"name": parameter.name, "in": parameter.place, "schema": parameter.schema}
    return {**written, **({"description": parameter.description} if parameter.description else {})}


def _responses(
    name: str, description: Description, method: str, operation: Operation
) -> dict[str, object]:
    responses = {
        str(status): _response(response, empty=method == "HEAD")
        for status, response in operation.responses.items()
    }
    refused = {
        str(status): _refusal(status, description, empty=True)
        if method == "HEAD"
        else {"$ref": f"#/components/responses/{name}{status}"}
        for status in sorted(_refusals(description, operation))
    }
    return {**responses, **refused}


def _refusals(description: Description, operation: Operation) -> set[int]:
    reading = description.reading_body if operation.body is not None else ()
    return {*description.always, *reading, *operation.refusals} - set(operation.responses)


def _response(response: Response, *, empty: bool) -> dict[str, object]:
    written: dict[str, object] = {"description": response.description}
    if response.content and not empty:
        written["content"] = {media: {"schema": s} for media, s in response.content.items()}
    if response.headers:
        written["headers"] = {
            n: {"required": True, "schema": s} for n, s in response.headers.items()
        }
    return written


def _refusal(status: int, description: Description, *, empty: bool = False) -> dict[str, object]:
    headers = dict([_REFUSAL_HEADERS[status]] if status in _REFUSAL_HEADERS else [])
    if status >= _SERVER_FAULT:
        headers["X-Request-Id"] = TEXT
    meaning = _MEANINGS.get(status, HTTPStatus(status).phrase)
    body = {description.refusal_type: description.refusal} if description.refusal else {}
    return _response(Response(meaning, body, headers), empty=empty)


def _components(described: Sequence[Described]) -> dict[str, object]:
    schemas: dict[str, Schema] = {}
    responses: dict[str, object] = {}
    security: dict[str, Schema] = {}
    for name, description, _ in described:
        schemas.update(description.schemas)
        for operation in _operations(description):
            for status in _refusals(description, operation):
                responses[f"{name}{status}"] = _refusal(status, description)
            security.update({s.name: s.scheme for s in _securities(operation)})
    return {"schemas": schemas, "responses": responses, "securitySchemes": security}


def _operations(description: Description) -> Iterator[Operation]:
    for chapter in description.chapters:
        yield from chapter.operations.values()


def _securities(operation: Operation) -> Iterator[Security]:
    for together in operation.credentials:
        yield from together
