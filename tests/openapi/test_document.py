"""The document is valid, leaves no route out, describes none that is not there, and repeats nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.app import described
from gateway.dialects import DIALECTS

PREFIX = "/filestore"
SERVICE = {
    f"{method} {path}"
    for path in ("/", "/health", "/ready", "/metrics", "/openapi.json", "/docs")
    for method in ("GET", "HEAD")
}
EXPRESSION = re.compile(r"\{([a-z_]+):[^{}]*\}")
METHODS = ("get", "head", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As a client reads it."""
    return dict(json.loads(json.dumps(described(DIALECTS, PREFIX))))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def served() -> set[str]:
    """Every route of every dialect, its patterns without their expressions."""
    return {
        route.method + " " + EXPRESSION.sub(r"{\1}", route.path)
        for dialect in DIALECTS
        for route in dialect.routes
    }


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert "3.1.0" == document["openapi"]


def test_no_route_is_left_out(document: dict[str, Any]) -> None:
    """A route that is missing here needs an entry in its dialect's ``described``."""
    assert set() == served() - {name for name, _ in operations(document)}


def test_nothing_is_described_that_is_not_served(document: dict[str, Any]) -> None:
    assert SERVICE == {name for name, _ in operations(document)} - served()


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert sorted(set(names)) == sorted(names)


def test_every_component_is_used_and_every_one_used_is_there(document: dict[str, Any]) -> None:
    components = document["components"]
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses")
        for name in components[kind]
    }
    assert there == set(references(document))


def test_every_refusal_has_the_body_that_its_dialect_words(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        dialect = re.sub(r"[0-9]+$", "", name)
        ((kind, content),) = response["content"].items()
        expected = {
            "mainflux": ("application/json", "MainfluxError"),
            "hasura": ("application/json", "HasuraError"),
            "losant": ("application/json", "LosantError"),
            "losant-storage": ("application/xml", "LosantStorageError"),
        }.get(dialect)
        if expected is not None:
            assert expected == (kind, content["schema"]["$ref"].rpartition("/")[2])


def test_every_operation_says_who_may_ask(document: dict[str, Any]) -> None:
    schemes = set(document["components"]["securitySchemes"])
    used = {
        scheme
        for _, operation in operations(document)
        for alternative in operation["security"]
        for scheme in alternative
    }
    assert schemes == used
    assert {"thingKey", "bearer", "hasuraUserId", "hasuraRole"} <= schemes


def test_no_two_dialects_give_one_schema_name_two_meanings() -> None:
    names = [name for dialect in DIALECTS for name in dialect.description.schemas]
    assert sorted(set(names)) == sorted(names)


def test_the_example_of_each_optional_field_of_a_form_is_empty(document: dict[str, Any]) -> None:
    """Pages that fill in what a pattern suggests would send a digest that is wrong."""
    properties = document["components"]["schemas"]["FileForm"]["properties"]
    for name in ("time", "sha256"):
        assert [""] == properties[name]["examples"]


def schemas(node: object) -> Iterator[dict[str, Any]]:
    """Every JSON object of the document: schemas, and what holds them."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


# What generators stumbled over once: code that does not compile, or a method that returns nothing.
def test_whatever_lists_its_values_says_their_type(document: dict[str, Any]) -> None:
    listing = [s for s in schemas(document) if isinstance(s.get("enum"), list) or "const" in s]
    assert listing
    assert [] == [schema for schema in listing if "type" not in schema]


def test_no_default_stands_beside_values_of_which_one_is_null(document: dict[str, Any]) -> None:
    assert [] == [s for s in schemas(document) if None in (s.get("enum") or ()) and "default" in s]


def test_no_two_names_of_a_kind_are_one_without_case_and_punctuation(
    document: dict[str, Any],
) -> None:
    def folded(names: Iterable[str]) -> list[str]:
        return sorted(re.sub(r"[^a-z0-9]", "", name.lower()) for name in names)

    kinds = [
        document["components"]["schemas"],
        [operation["operationId"] for _, operation in operations(document)],
        *(s["properties"] for s in schemas(document) if isinstance(s.get("properties"), dict)),
    ]
    assert [] == [kind for kind in kinds if sorted(set(folded(kind))) != folded(kind)]


def test_no_schema_has_the_name_of_anothers_constructor(document: dict[str, Any]) -> None:
    names = document["components"]["schemas"]
    assert set() == {f"New{name}" for name in names} & set(names)


def test_bytes_have_a_type_that_generators_know_first(document: dict[str, Any]) -> None:
    contents = [s for s in schemas(document) if "*/*" in s]
    assert contents
    assert {"application/octet-stream"} == {next(iter(content)) for content in contents}


def test_the_license_is_one_that_packages_may_name(document: dict[str, Any]) -> None:
    assert {"name": "MIT", "identifier": "MIT"} == document["info"]["license"]
