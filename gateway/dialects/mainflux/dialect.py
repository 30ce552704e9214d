"""The Mainflux dialect: filestore and identity, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.mainflux import files
from gateway.dialects.mainflux.wording import word
from gateway.web.dialect import Dialect

MAINFLUX: Final = Dialect(
    name="mainflux",
    routes=(*files.ROUTES,),
    word=word,
)
