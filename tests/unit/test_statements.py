"""What is made of SQL files: names, orders of listings, and what is refused at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.database.statements import SqlFolder, ordered, read_statements
from gateway.model.errors import StartupFailed

BASE = read_statements()


def folder(tmp_path: Path, text: str) -> SqlFolder:
    queries = tmp_path / "queries"
    queries.mkdir()
    (queries / "own.sql").write_text(text, encoding="utf-8")
    return SqlFolder("toy", tmp_path)


def made(tmp_path: Path, text: str) -> dict[str, str]:
    statements = read_statements([folder(tmp_path, text)])
    return {name: text for name, text in statements.items() if name not in BASE}


def test_a_dialects_statement_has_its_name_in_front(tmp_path: Path) -> None:
    assert {"toy/one": "select 1;"} == made(tmp_path, "-- One.\n\n-- name: one\nselect 1;\n")


@pytest.mark.parametrize(
    ("line", "up", "down"),
    [
        pytest.param("x = size", "size asc, id asc", "size desc, id desc", id="a column"),
        pytest.param("x = name (unique)", "name asc", "name desc", id="no two are equal"),
        pytest.param("x = id", "id asc", "id desc", id="the id itself"),
        pytest.param(
            "x = (attributes ->> 'a-b')::bigint",
            "(attributes ->> 'a-b')::bigint asc, id asc",
            "(attributes ->> 'a-b')::bigint desc, id desc",
            id="an attribute as a number",
        ),
        pytest.param(
            "x = lower((attributes ->> 'a'))",
            "lower((attributes ->> 'a')) asc, id asc",
            "lower((attributes ->> 'a')) desc, id desc",
            id="an attribute in lower case",
        ),
    ],
)
def test_an_order_makes_a_statement_in_each_direction(
    tmp_path: Path, line: str, up: str, down: str
) -> None:
    text = f"-- name: own\nselect 1 order by {{order}};\n-- order: own {line}\n"
    expected = {
        "toy/own by toy/x asc": f"select 1 order by {up};",
        "toy/own by toy/x desc": f"select 1 order by {down};",
    }
    assert expected == made(tmp_path, text)
    assert set(expected) == {ordered("toy/own", "toy/x", descending=way) for way in (False, True)}


def test_a_dialect_adds_an_order_to_a_shared_listing(tmp_path: Path) -> None:
    added = made(tmp_path, "-- order: list_files size = size\n")
    assert {"list_files by toy/size asc", "list_files by toy/size desc"} == set(added)
    assert "order by size desc, id desc limit" in added["list_files by toy/size desc"]


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("name; drop table files", id="a second statement"),
        pytest.param("name, size", id="two keys"),
        pytest.param("(select 1)", id="a query"),
        pytest.param("(attributes ->> 'a' || 'b')", id="two texts"),
        pytest.param("(attributes ->> 'it''s')", id="a quote"),
        pytest.param("pg_sleep(1)", id="a function"),
        pytest.param("name desc", id="a direction"),
        pytest.param("(attributes ->> 'a')::timestamptz", id="a cast that no index can have"),
        pytest.param("1 -- (unique)", id="a comment"),
    ],
)
def test_an_order_by_anything_else_is_refused(tmp_path: Path, expression: str) -> None:
    with pytest.raises(StartupFailed, match="toy/x is not by a column or an attribute"):
        made(tmp_path, f"-- order: list_files x = {expression}\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("-- order: list_fish x = id\n", "which is no listing", id="unknown listing"),
        pytest.param("-- order: find_file x = id\n", "which is no listing", id="no template"),
        pytest.param(
            "-- order: list_files x = id\n-- order: list_files x = name\n",
            "two orders of list_files are named toy/x",
            id="an order twice",
        ),
        pytest.param(
            "-- name: one\nselect 1;\n-- name: one\nselect 2;\n",
            "two statements are named toy/one",
            id="a statement twice",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(StartupFailed, match=reason):
        made(tmp_path, text)
