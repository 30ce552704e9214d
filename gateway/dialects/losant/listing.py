"""Which private files are listed, and from which end they are read."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.database.statements import ordered
from gateway.dialects.losant.applications import PageWanted


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement, its limit and its offset; ``backwards`` if what it yields is to be turned."""

    statement: str
    limit: int
    offset: int
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class FileListing:
    """One page of an application's files, of one directory or, with ``None``, of all.

    Blank ``type`` and ``status`` are any.
    """

    application: str
    directory: str | None
    type: str
    status: str
    page: PageWanted

    @property
    def matching(self) -> tuple[object, ...]:
        """Which files, as the statements take it."""
        pattern = () if self.page.name is None else (self.page.name,)
        return (self.application, self.directory, self.type, self.status, *pattern)

    @property
    def count(self) -> str:
        """The statement that says how many there are; only with a pattern are they counted."""
        return self._statement("known" if self.page.name is None else "count")

    def reading(self, total: int) -> Reading:
        """How the page of so many files is read.

        A page in the latter half is read from the end, so that no more than half is passed over.
        """
        page, name = self.page, self._statement("list" if self.page.name is None else "find")
        behind = total - page.offset - page.limit
        backwards = page.name is None and page.offset > total // 2
        statement = ordered(name, f"losant/{page.order}", descending=page.descending != backwards)
        if not backwards:
            return Reading(statement, page.limit, page.offset)
        return Reading(statement, max(0, page.limit + min(0, behind)), max(0, behind), True)

    def _statement(self, verb: str) -> str:
        return f"losant/{verb}_{'all' if self.directory is None else 'in'}"
