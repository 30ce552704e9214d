"""The API dialects that the gateway speaks, one module or package each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.database.statements import SqlFolder
from gateway.dialects.hasura.dialect import HASURA
from gateway.dialects.mainflux.dialect import MAINFLUX
from gateway.web.dialect import Dialect

DIALECTS: Final[tuple[Dialect, ...]] = (MAINFLUX, HASURA)


def sql_folders(dialects: Sequence[Dialect] = DIALECTS) -> tuple[SqlFolder, ...]:
    """What these dialects bring for the database to know and to have."""
    return tuple(dialect.sql for dialect in dialects if dialect.sql is not None)
