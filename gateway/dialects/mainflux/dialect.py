"""The Mainflux dialect: filestore and identity, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.mainflux import files, groups, identify, things, users
from gateway.dialects.mainflux.wording import word
from gateway.web.dialect import Dialect

MAINFLUX: Final = Dialect(
    name="mainflux",
    routes=(
        *files.ROUTES,
        *users.ROUTES,
        *things.ROUTES,
        *groups.ROUTES,
        *identify.ROUTES,
    ),
    word=word,
)
