"""What is configured of forms and links alone."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from gateway.settings.sources import SettingsGroup
from gateway.settings.types import Seconds, Secret

_LONGEST_FORM: Final = 7 * 86_400.0


def _split(value: object) -> object:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _check_base(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be the beginning of http:// or https:// addresses")
    return value


Bases = Annotated[
    tuple[Annotated[str, AfterValidator(_check_base)], ...], NoDecode, BeforeValidator(_split)
]


class StorageSettings(SettingsGroup, env_prefix="GATEWAY_LOSANT_"):
    """Who signs upload forms and links, and for how long."""

    signing_secret: Secret | None = Field(
        None,
        description="Signs upload forms and links of private files, 32 characters or more; "
        "unset: a sub-key of the deployment's secret.",
    )
    signing_secret_previous: Secret | None = Field(
        None,
        description="The one before: what it signed is still accepted. Take it away when that is "
        "over, after `FORM_SECONDS` and the longest `urlTTL` that is asked for.",
    )
    form_seconds: Seconds = Field(
        3_600.0,
        le=_LONGEST_FORM,
        description="How long an upload form can be posted once it was given away; a week at most.",
    )
    redirects: Bases = Field(
        (),
        description="Beginnings of addresses, up to a slash, that an upload form may send a "
        "browser on to (`success_action_redirect`); unset: none.",
    )
