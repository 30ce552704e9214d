"""Whether there is a deployment where the settings point to; looks, and makes nothing."""

from __future__ import annotations

from gateway.settings.core import Settings


def is_deployed(settings: Settings) -> bool:
    """Whether ``serve`` has been there: a secret, blobs, and a database if it is to be its own.

    Raises ``OSError`` if one cannot even look.
    """
    return (
        (settings.data_dir / "blobs").is_dir()
        and (settings.secret is not None or (settings.data_dir / "secret").is_file())
        and (settings.database_url is not None or has_own_database(settings))
    )


def has_own_database(settings: Settings) -> bool:
    """Whether there is an embedded PostgreSQL under the data directory."""
    return (settings.data_dir / "postgres").is_dir()
