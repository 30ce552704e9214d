"""The Losant dialect's own settings."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from gateway.settings.sources import SettingsGroup


class LosantSettings(SettingsGroup):
    """What is configured of the Losant routes alone."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_LOSANT_")

    pending_seconds: float = Field(
        86_400.0,
        gt=0,
        description="How long a private file waits for its bytes; after that it is removed, or "
        "keeps those that it had.",
    )
    upkeep_seconds: float = Field(
        5.0,
        ge=0,
        description="How often a gateway looks for pending private files that are over, and for "
        "moves and removals of directories that no other goes on with; 0: others do.",
    )
