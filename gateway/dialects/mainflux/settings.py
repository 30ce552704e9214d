"""The Mainflux dialect's own settings; the variable is older than the dialects' prefixes."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import Field

from gateway.settings.sources import SettingsGroup
from gateway.settings.types import Extensions


class MainfluxSettings(SettingsGroup):
    """What is configured of the Mainflux routes alone."""

    allowed_extensions: Extensions = Field(
        (),
        description="Extensions that files uploaded on the Mainflux routes may have, as a comma "
        "list such as `bin,img`; empty: any.",
    )


ALLOWED_EXTENSIONS: Final = web.AppKey("mainflux_allowed_extensions", frozenset[str])
"""Those of the settings; empty: any."""
