"""What the Losant dialect keeps at run time, as one value on the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.dialects.losant.applications import Applications
from gateway.dialects.losant.files import PrivateFiles
from gateway.dialects.losant.settings import LosantSettings
from gateway.dialects.losant.tokens import ApiTokens
from gateway.dialects.losant.trees import TreeWork


@dataclass(frozen=True, slots=True)
class Losant:
    """The services behind the routes."""

    settings: LosantSettings
    applications: Applications
    tokens: ApiTokens
    files: PrivateFiles
    work: TreeWork


LOSANT: Final = web.AppKey("losant", Losant)
