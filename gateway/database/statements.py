"""SQL in files: where it is found, and what is made of it when the database is opened.

Knows the notation below; does not know what any statement is for.

A folder has ``queries/*.sql`` and ``migrations/*.sql``. The shared one is ``gateway.sql``
itself; each dialect may have one of its own, whose statements and migrations have the
dialect's name before theirs: ``<name>/list_waiting``, ``<name>/0001_waiting.sql``.

In a query file, ``-- name: find_file`` begins a statement. One that says ``{order}`` is a
listing: it is a template, of which two statements are made for each order that somebody
registers for it, one in each direction. An order is one line, in the file of whoever needs it::

    -- order: list_files time = (attributes ->> 'time')::float8
    -- order: list_files name = name (unique)

Rows that are equal in an order are told apart by ``id``, unless it is unique; a missing value
is greater than every other, as PostgreSQL has it, so that an index yields both directions.

Rule: nothing of a request becomes part of a statement, ever. What an order may be sorted by is
a column, or one attribute, or either in lower case; anything else is refused at start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from gateway.model.errors import StartupFailed

_NAME_LINE: Final = re.compile(r"^-- name: ([a-z0-9_]+)\n", re.MULTILINE)
_ORDER_LINE: Final = re.compile(
    r"^-- order: ([a-z0-9_]+) ([a-z0-9_]+) = (.+?)( \(unique\))?\n", re.MULTILINE
)
_COLUMN: Final = r"[a-z_][a-z0-9_]{0,62}"
_ATTRIBUTE: Final = (
    r"\(attributes ->> '[A-Za-z0-9_.-]{1,64}'\)(?:::(?:float8|bigint|numeric|boolean))?"
)
_EXPRESSION: Final = re.compile(rf"(?:{_COLUMN}|{_ATTRIBUTE}|lower\((?:{_COLUMN}|{_ATTRIBUTE})\))")
_SLOT: Final = "{order}"


@dataclass(frozen=True, slots=True)
class SqlFolder:
    """``queries/*.sql`` and ``migrations/*.sql`` below ``root``, either of which may be missing.

    ``name`` is the dialect's; the shared folder has none.
    """

    name: str
    root: Traversable

    def files(self, kind: str) -> list[Traversable]:
        """The SQL files of its ``queries`` or ``migrations``, by name."""
        folder = self.root / kind
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted((f for f in found if f.name.endswith(".sql")), key=lambda f: f.name)

    def own(self, name: str) -> str:
        """What its statement, order or migration of that name is called among all."""
        return f"{self.name}/{name}" if self.name else name


@dataclass(frozen=True, slots=True)
class _Order:
    listing: str
    name: str
    expression: str
    unique: bool

    def by(self, direction: str) -> str:
        keys = (
            [self.expression] if self.unique or self.expression == "id" else [self.expression, "id"]
        )
        return ", ".join(f"{key} {direction}" for key in keys)


def shared_folder() -> SqlFolder:
    """The SQL of the nouns that all dialects share."""
    return SqlFolder("", resources.files("gateway.sql"))


def dialect_folder(name: str) -> SqlFolder:
    """The SQL of a dialect that is shipped, ``sql/dialects/<name>``."""
    return SqlFolder(name, resources.files("gateway.sql") / "dialects" / name)


def ordered(listing: str, order: str, *, descending: bool) -> str:
    """The name of the statement that was made of a listing for one of its orders."""
    return f"{listing} by {order} {'desc' if descending else 'asc'}"


def read_statements(folders: Sequence[SqlFolder] = ()) -> dict[str, str]:
    """Every named statement: the shared ones, and those of these dialects' folders.

    Raises ``StartupFailed`` if two have one name, or an order is not what it may be.
    """
    statements: dict[str, str] = {}
    orders: list[_Order] = []
    for folder in (shared_folder(), *folders):
        for name, text in _named(folder):
            if name in statements:
                raise StartupFailed(f"two statements are named {name}")
            statements[name] = text
        orders += _orders(folder, statements)
    templates = {name: text for name, text in statements.items() if _SLOT in text}
    plain = {name: text for name, text in statements.items() if _SLOT not in text}
    return plain | _listings(templates, orders)


def _named(folder: SqlFolder) -> Iterator[tuple[str, str]]:
    for file in folder.files("queries"):
        text = _ORDER_LINE.sub("", file.read_text(encoding="utf-8"))
        _, *parts = _NAME_LINE.split(text)
        for name, statement in zip(parts[::2], parts[1::2], strict=True):
            yield folder.own(name), statement.strip()


def _orders(folder: SqlFolder, known: dict[str, str]) -> Iterator[_Order]:
    """The orders of a folder, for its own listings and for those of the shared one."""
    for file in folder.files("queries"):
        for listing, name, expression, unique in _ORDER_LINE.findall(
            file.read_text(encoding="utf-8")
        ):
            own = folder.own(listing)
            found = _Order(
                own if own in known else listing, folder.own(name), expression, unique != ""
            )
            if _SLOT not in known.get(found.listing, ""):
                raise StartupFailed(f"the order {found.name} is for {listing}, which is no listing")
            if not _EXPRESSION.fullmatch(expression):
                raise StartupFailed(f"the order {found.name} is not by a column or an attribute")
            yield found


def _listings(templates: dict[str, str], orders: Sequence[_Order]) -> dict[str, str]:
    made: dict[str, str] = {}
    for order in orders:
        for direction in ("asc", "desc"):
            name = ordered(order.listing, order.name, descending=direction == "desc")
            if name in made:
                raise StartupFailed(f"two orders of {order.listing} are named {order.name}")
            made[name] = templates[order.listing].replace(_SLOT, order.by(direction))
    return made
