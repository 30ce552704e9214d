"""The shipped nginx configuration knows of every dialect what the dialect says nginx must know.

After a change of a dialect's ``NginxPart``: ``python -m tests.test_nginx_dialects`` rewrites the
two lists of addresses.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.dialects import DIALECTS
from gateway.model.errors import Failure
from gateway.web.dialect import Dialect

NGINX = Path(__file__).parent.parent / "deploy" / "nginx"
LISTS = {
    "filestore-locations.conf": re.compile(r"(?<=^location ~ \^/\()\S+(?=\)\(/\|\$\) \{$)", re.MULTILINE),
    "filestore_edge.lua": re.compile(r"(?<=^local FILES = \[=\[\^\(/filestore\)\?/\()\S+(?=\)\$\]=\])", re.MULTILINE),
}  # fmt: skip
VARIABLE = re.compile(r"\{[a-z_]+(?::[^{}]*)?\}")


def expected(file: str) -> str:
    """The list that the file has to have."""
    of_file = {
        "filestore-locations.conf": [p for d in DIALECTS for p in d.nginx.locations],
        "filestore_edge.lua": [p for d in DIALECTS for p in d.nginx.files],
    }
    return "|".join(of_file[file])


def text_of(file: str) -> str:
    return (NGINX / file).read_text(encoding="utf-8")


def reads(dialect: Dialect) -> set[str]:
    """Paths that the dialect answers to GET, each variable a word."""
    return served(dialect, "GET")


def served(dialect: Dialect, *methods: str) -> set[str]:
    """Paths that the dialect answers to one of these methods, or to any."""
    paths = (route.path for route in dialect.routes if not methods or route.method in methods)
    return {VARIABLE.sub("x", path).strip("/") for path in paths}


def headers_of(kind: str) -> list[str]:
    return [name for d in DIALECTS for name in getattr(d.nginx, kind)]


@pytest.mark.parametrize("file", LISTS)
def test_the_addresses_are_those_of_the_dialects(file: str) -> None:
    assert [expected(file)] == LISTS[file].findall(text_of(file))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_every_pattern_is_of_something_that_is_served(dialect: Dialect) -> None:
    begun = [rf"{pattern}(/.*)?" for pattern in dialect.nginx.locations]
    unused = [
        pattern
        for patterns, paths in ((begun, served(dialect)), (dialect.nginx.files, reads(dialect)))
        for pattern in patterns
        if not any(re.fullmatch(pattern, path) for path in paths)
    ]
    assert [] == unused


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_what_nginx_may_send_goes_to_the_gateway_otherwise(dialect: Dialect) -> None:
    """A file that edge mode knows is reached without it, too: at the root, by a location."""
    files = [path for path in reads(dialect) for p in dialect.nginx.files if re.fullmatch(p, path)]
    reached = "|".join(dialect.nginx.locations)
    assert [] == [path for path in files if not re.match(rf"({reached})(/|$)", path)]


@pytest.mark.parametrize("name", headers_of("asserted_headers"))
def test_who_the_caller_is_comes_from_no_client(name: str) -> None:
    assert 1 == text_of("filestore-proxy.conf").count(f'\nproxy_set_header {name} "";\n')


@pytest.mark.parametrize("name", headers_of("significant_headers"))
def test_a_request_with_such_a_header_is_the_gateways(name: str) -> None:
    [table] = re.findall(
        r"^local SIGNIFICANT = \{$(.*?)^\}$",
        text_of("filestore_edge.lua"),
        re.MULTILINE | re.DOTALL,
    )
    assert f'["{name.lower()}"] = true' in table


FAULT = {
    "sentence": "internal server error",
    "message": "internal server error",
    "code": "fatal_internal_error",
    "type": "InternalServerError",
}


# Storage's XML is nobody's words but the gateway's: nginx says it in JSON.
WORDED = [dialect for dialect in DIALECTS if dialect.name != "losant-storage"]


@pytest.mark.parametrize("dialect", WORDED, ids=lambda d: d.name)
def test_what_nginx_says_of_a_fault_is_what_the_dialect_says_byte_by_byte(dialect: Dialect) -> None:
    [table] = re.findall(
        r"^map \$request_uri \$filestore_refusal \{$(.*?)^\}$",
        text_of("filestore.conf"),
        re.MULTILINE | re.DOTALL,
    )
    lines = dict(re.findall(r"^ +(\S+) +'(.*)';$", table, re.MULTILINE))
    path = f"/{dialect.nginx.locations[0]}"
    fits = [key[1:] for key in lines if key[0] == "~" and re.search(key[1:], path)]
    template = lines["~" + fits[0] if fits else "default"].replace(r"\n", "\n")
    said = re.sub(r"\$filestore_([a-z]+)", lambda name: FAULT[name[1]], template)
    assert dialect.render_error(Failure()).body == said.encode()


if __name__ == "__main__":
    for changed, pattern in LISTS.items():
        path = NGINX / changed
        written = pattern.sub(lambda _, name=changed: expected(name), text_of(changed))  # type: ignore[misc]
        path.write_text(written, encoding="utf-8")
