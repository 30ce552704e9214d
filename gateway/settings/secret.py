"""The deployment's secret: given by a setting, or generated once into the data directory.

Knows files and settings; does not know what the secret is used for.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.settings.core import BadSettings, Settings
from gateway.settings.types import SHORTEST_SECRET

ABSENT: Final = "absent"


def load_secret(settings: Settings) -> str:
    """The secret; generated into ``DATA_DIR/secret`` (0600) if none is set.

    Safe in several processes at once: the first one's secret is everybody's. Raises
    ``BadSettings`` if the file cannot be used.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    try:
        return _stored_secret(settings.data_dir / "secret")
    except OSError as exc:
        raise BadSettings((f"GATEWAY_DATA_DIR: {exc.filename}: {exc.strerror}",)) from exc
    except ValueError as exc:
        raise BadSettings(("GATEWAY_DATA_DIR: its file named secret is damaged",)) from exc


def stored_secret(settings: Settings) -> str | None:
    """The secret, or ``None`` if there is none yet. Makes nothing.

    Raises ``BadSettings`` if the file cannot be used.
    """
    if settings.secret is None and secret_problem(settings) == ABSENT:
        return None
    return load_secret(settings)


def secret_problem(settings: Settings) -> str | None:
    """What is wrong with the file of the secret, or that it is ``ABSENT``."""
    path = settings.data_dir / "secret"
    try:
        mode = path.stat().st_mode & 0o777
        if len(path.read_text(encoding="ascii").strip()) < SHORTEST_SECRET:
            return "is damaged: it is too short"
    except FileNotFoundError:
        return ABSENT
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    except ValueError:
        return "is damaged: it is no text"
    return f"may be read by others (mode {mode:o})" if mode & 0o077 else None


def _stored_secret(path: Path) -> str:
    if not path.exists():
        _create(path)
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < SHORTEST_SECRET:
        raise ValueError("the stored secret is damaged")
    return secret


def _create(path: Path) -> None:
    """Give ``path`` a new secret, durably, unless another process is first.

    What it guards is stored in PostgreSQL and would be lost with it, hence the syncs.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    draft = path.with_name(f".secret.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
