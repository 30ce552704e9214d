"""Filestore Gateway: publish a firmware image once, serve exactly those bytes."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
