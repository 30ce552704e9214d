"""The tables of routes and commands in the pages are the code's.

After a change of routes: ``python -m tests.documents.test_tables`` rewrites their tables.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest
from prometheus_client import REGISTRY

from gateway.__main__ import main
from gateway.app import described
from gateway.dialects import DIALECTS
from tests.documents import pages
from tests.torture import progress as torture

OPERATIONS = "docs/operations.md"
MONITORING = "docs/monitoring.md"
RELIABILITY = "docs/reliability.md"


def routes() -> Mapping[str, str]:
    """The table of routes that each page has to have."""
    tables: dict[str, list[str]] = defaultdict(lambda: ["| Route | Does |", "|---|---|"])
    for tag, methods, path, summary in _operations():
        tables[_page_of(tag)].append(f"| `{methods} {path}` | {summary} |")
    return {page: "\n".join(rows) + "\n" for page, rows in tables.items()}


def _operations() -> Iterator[tuple[str, str, str, str]]:
    """Tag, methods, path and summary; HEAD stands with its GET."""
    paths = described(DIALECTS, "")["paths"]
    assert isinstance(paths, dict)
    for path, item in paths.items():
        if path.startswith("/docs/"):
            continue
        for method, operation in item.items():
            if not isinstance(operation, dict) or method == "head":
                continue
            methods = "GET, HEAD" if method == "get" and "head" in item else method.upper()
            yield operation["tags"][0], methods, path, operation["summary"]


def _page_of(tag: str) -> str:
    """A dialect's chapters begin with its name; the rest are the service's own."""
    name = tag.partition(" ")[0].lower()
    return f"docs/apis/{name}.md" if name in {d.name for d in DIALECTS} else OPERATIONS


def metrics() -> str:
    """The table of the service's own metrics, as they are registered."""
    rows = ["| Metric | Kind | Meaning |", "|---|---|---|"]
    for found in REGISTRY.collect():
        if found.name.startswith("gateway_"):
            name = f"{found.name}_total" if found.type == "counter" else found.name
            rows.append(f"| `{name}` | {found.type} | {found.documentation} |")
    return "\n".join(rows) + "\n"


def test_the_page_lists_every_metric_as_it_is() -> None:
    assert metrics() == pages.table(MONITORING, "metrics")


def test_the_page_has_what_the_last_full_runs_came_to() -> None:
    assert torture.table() == pages.table(RELIABILITY, "torture")
    assert torture.suites_table() == pages.table(RELIABILITY, "suites")


@pytest.mark.parametrize("page", sorted(routes()))
def test_a_page_lists_its_routes_as_they_are(page: str) -> None:
    assert routes()[page] == pages.table(page, "routes")


def test_every_dialect_has_a_page_and_the_readme_names_it() -> None:
    readme = pages.read("README.md")
    for dialect in DIALECTS:
        page = f"docs/apis/{dialect.name}.md"
        assert page in routes()
        assert f"]({page}" in readme


def test_the_table_of_commands_has_all_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    offered = re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    listed = re.findall(r"^\| `filestore-gateway ([a-z]+)` ", pages.read(OPERATIONS), re.MULTILINE)
    assert offered == listed
    assert listed != []


if __name__ == "__main__":
    for page, table in routes().items():
        pages.rewrite(page, "routes", table)
    pages.rewrite(MONITORING, "metrics", metrics())
    pages.rewrite(RELIABILITY, "torture", torture.table())
    pages.rewrite(RELIABILITY, "suites", torture.suites_table())
