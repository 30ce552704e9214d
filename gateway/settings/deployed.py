"""Whether there is a deployment where the settings point to, or one that is half restored."""

from __future__ import annotations

from typing import Final

from gateway.settings.core import Settings

_MARK: Final = "restore.unfinished"


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


def restoring(settings: Settings) -> str | None:
    """Which backup is being restored here: a restore of it began and has not ended well."""
    try:
        return (settings.data_dir / _MARK).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def begin_restore(settings: Settings, moment: str) -> None:
    """From now on there is no deployment, whatever there is, until ``end_restore``."""
    settings.data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    (settings.data_dir / _MARK).write_text(f"{moment}\n", encoding="ascii")


def end_restore(settings: Settings) -> None:
    """What is here is whole."""
    (settings.data_dir / _MARK).unlink()
