"""The Hasura dialect's own settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from gateway.settings.sources import SettingsGroup


class HasuraSettings(SettingsGroup):
    """What is configured of the Hasura routes alone."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_HASURA_")

    policy: Literal["admin", "private", "public", "read-only"] = Field(
        "admin",
        description="Who may do what on the Hasura routes, unless a hook decides: `admin`, "
        "`private`, `public` or `read-only`.",
    )
