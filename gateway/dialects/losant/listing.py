"""Which private files are listed."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.database.statements import ordered
from gateway.dialects.losant.applications import PageWanted


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
        return (self.application, self.directory, self.type, self.status, self.page.name)

    @property
    def statement(self) -> str:
        """The statement that yields the page."""
        name = "losant/list_all" if self.directory is None else "losant/list_in"
        return ordered(name, f"losant/{self.page.order}", descending=self.page.descending)

    @property
    def count(self) -> str:
        """The statement that says how many there are; only with a pattern are they counted."""
        how = "known" if self.page.name is None else "count"
        return f"losant/{how}_{'all' if self.directory is None else 'in'}"

    @property
    def counted(self) -> tuple[object, ...]:
        """Which files, as that statement takes it."""
        return self.matching[:-1] if self.page.name is None else self.matching
