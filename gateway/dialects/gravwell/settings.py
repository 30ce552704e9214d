"""The Gravwell dialect's own settings."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import Field

from gateway.settings.sources import SettingsGroup
from gateway.settings.types import BytesAtLeastOne


class GravwellSettings(SettingsGroup, env_prefix="GATEWAY_GRAVWELL_"):
    """What is configured of the Gravwell routes alone."""

    max_file_bytes: BytesAtLeastOne = Field(
        8 * 1024 * 1024,
        description="Largest user file on the Gravwell routes. The product's own limit "
        "is 8 MiB; its client reads no more than that.",
    )


MAX_FILE_BYTES: Final = web.AppKey("gravwell_max_file_bytes", int)
"""That of the settings."""
