"""The Hasura dialect, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.hasura.described import DESCRIPTION
from gateway.dialects.hasura.files import DIALECT, ROUTES
from gateway.dialects.hasura.wording import STATUSES, word
from gateway.web.dialect import Dialect

HASURA: Final = Dialect(
    name=DIALECT,
    routes=ROUTES,
    word=word,
    statuses=STATUSES,
    owns=("/v1/file",),
    description=DESCRIPTION,
)
