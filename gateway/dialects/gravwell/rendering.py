"""How the Gravwell API words a refusal: one short line of plain text, which its client shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.model.errors import AccountLocked, GatewayError
from gateway.web.dialect import RenderedError

STATUSES: Final[Mapping[type[GatewayError], int]] = {AccountLocked: 423}
_MOST_BYTES: Final = 255  # the client reads 256 of them


def render_error(error: GatewayError) -> RenderedError:
    """The error's sentence, cut to what the client reads."""
    line = " ".join(str(error).split()).encode()[: _MOST_BYTES - 1]
    return RenderedError(line.decode(errors="ignore").encode() + b"\n", "text/plain; charset=utf-8")
