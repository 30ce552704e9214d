"""The API dialects that the gateway speaks, one module or package each."""

from __future__ import annotations

from typing import Final

from gateway.dialects.gravwell.dialect import GRAVWELL
from gateway.dialects.hasura.dialect import HASURA
from gateway.dialects.losant.dialect import LOSANT_DIALECT
from gateway.dialects.losant.storage.dialect import STORAGE_DIALECT
from gateway.dialects.mainflux.dialect import MAINFLUX
from gateway.web.dialect import Dialect

DIALECTS: Final[tuple[Dialect, ...]] = (
    MAINFLUX,
    HASURA,
    GRAVWELL,
    LOSANT_DIALECT,
    STORAGE_DIALECT,
)
