"""The deployment's secret: given by a setting, or generated once into the data directory.

Knows files and settings; does not know what the secret is used for.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.settings.core import BadSettings, Settings
from gateway.settings.types import SHORTEST_SECRET

ABSENT: Final = "absent"
_FILE: Final = "secret"
_PREVIOUS_FILE: Final = "secret.previous"
_NOT_OURS: Final = (
    "GATEWAY_SECRET: is set, so change it where it is kept, and set the one before as "
    "GATEWAY_SECRET_PREVIOUS"
)


def load_secret(settings: Settings) -> str:
    """The secret; generated into ``DATA_DIR/secret`` (0600) if none is set.

    Safe in several processes at once: the first one's secret is everybody's. Raises
    ``BadSettings`` if the file cannot be used.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    with _readable():
        return _stored_secret(settings.data_dir / _FILE)


def load_secrets(settings: Settings) -> tuple[str, ...]:
    """The same, and the one before it if there is one. Raises as ``load_secret``."""
    present = load_secret(settings)
    previous = settings.secret_previous
    if previous is not None:
        return present, previous.get_secret_value()
    file = settings.data_dir / _PREVIOUS_FILE
    if settings.secret is not None or not file.exists():
        return (present,)
    with _readable():
        return present, _read(file)


def stored_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets, if there are any yet. Makes nothing.

    Raises ``BadSettings`` if a file cannot be used.
    """
    if settings.secret is None and secret_problem(settings) == ABSENT:
        return ()
    return load_secrets(settings)


def rotate_secret(settings: Settings) -> Path:
    """Put a new generated secret in place of the generated one, which becomes the previous one.

    The file of that. Raises ``BadSettings`` if the secret is a setting, or if the last rotation was
    not finished.
    """
    if settings.secret is not None:
        raise BadSettings((_NOT_OURS,))
    secret, previous = settings.data_dir / _FILE, settings.data_dir / _PREVIOUS_FILE
    with _readable():
        if previous.exists() and _read(previous) != _read(secret):
            raise BadSettings((f"{previous} is still there: `secret reseal --forget` first",))
        previous.unlink(missing_ok=True)
        os.link(secret, previous)  # before its name has another: whatever happens, none is lost
        draft = _draft(secret, _new_secret())
        draft.rename(secret)
        _sync_directory(secret.parent)
    return previous


def forget_previous(settings: Settings) -> bool:
    """Remove the file of the previous secret; whether there was one."""
    file = settings.data_dir / _PREVIOUS_FILE
    with _readable():
        was_there = file.exists()
        file.unlink(missing_ok=True)
        _sync_directory(file.parent)
    return was_there


def adopt_secrets(settings: Settings, present: str, *previous: str) -> None:
    """Make the secrets of a backup this deployment's, unless it has them already.

    Raises ``BadSettings`` if it has another.
    """
    with _readable():
        for name, secret in zip((_FILE, _PREVIOUS_FILE), (present, *previous), strict=False):
            if not (settings.data_dir / name).exists():
                _create(settings.data_dir / name, secret)
    if load_secret(settings) != present:
        raise BadSettings((f"{settings.data_dir / _FILE}: is not the secret of the backup",))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise BadSettings((f"GATEWAY_DATA_DIR: {exc.filename}: {exc.strerror}",)) from exc
    except ValueError as exc:
        raise BadSettings(("GATEWAY_DATA_DIR: its file named secret is damaged",)) from exc


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
        _create(path, _new_secret())
    return _read(path)


def _read(path: Path) -> str:
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < SHORTEST_SECRET:
        raise ValueError("the stored secret is damaged")
    return secret


def _create(path: Path, secret: str) -> None:
    """Put ``secret`` into ``path``, durably, unless another process is first."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    draft = _draft(path, secret)
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


def _draft(path: Path, secret: str) -> Path:
    """A secret in a file beside ``path``, synced.

    What it guards is stored in PostgreSQL and would be lost with it.
    """
    draft = path.with_name(f".secret.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
