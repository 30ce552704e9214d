"""Whether there is a deployment where the settings point to, or one that is half restored."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from gateway.settings.core import BadSettings, Settings

_MARK: Final = "restore.unfinished"
_DISK_ID: Final = "blobs/.store-id"


def is_deployed(settings: Settings) -> bool:
    """Whether ``serve`` has been there: a secret, blobs, and a database if it is to be its own.

    Raises ``OSError`` if one cannot even look.
    """
    has_database = settings.database_url is not None or has_own_database(settings)
    return has_blobs_and_secret(settings) and has_database


def has_blobs_and_secret(settings: Settings) -> bool:
    """Whether all of a deployment is there but, perhaps, its database. Raises ``OSError``."""
    has_blobs = settings.store == "s3" or (settings.data_dir / "blobs").is_dir()
    return has_blobs and (settings.secret is not None or (settings.data_dir / "secret").is_file())


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


def disk_identity(settings: Settings) -> str:
    """Which disk store is here; it gets an id, which is copied with it, when it is looked at first.

    Raises ``BadSettings`` if that cannot be read or written.
    """
    place = settings.data_dir / _DISK_ID
    try:
        if not place.is_symlink():
            _give_identity(place)
        return f"disk {UUID(str(place.readlink()))}"
    except OSError as exc:
        raise BadSettings((f"GATEWAY_DATA_DIR: {exc.filename}: {exc.strerror}",)) from exc
    except ValueError as exc:
        raise BadSettings((f"GATEWAY_DATA_DIR: its {_DISK_ID} is damaged",)) from exc


def _give_identity(place: Path) -> None:
    """A link that leads nowhere: made at once or not at all, copied with its folder, no file."""
    place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another worker was first
        place.symlink_to(str(uuid4()))
    descriptor = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)  # the database will know it for ever
    finally:
        os.close(descriptor)


def s3_authorities(settings: Settings) -> bytes | None:
    """The certificates to trust for the store. Raises ``BadSettings`` if they cannot be read."""
    if settings.s3_ca_file is None:
        return None
    try:
        found = settings.s3_ca_file.read_bytes()
    except OSError as exc:
        problem = f"GATEWAY_S3_CA_FILE: {settings.s3_ca_file}: {exc.strerror}"
        raise BadSettings((problem,)) from exc
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise BadSettings(("GATEWAY_S3_CA_FILE: has no certificate in it (PEM)",))
    return found
