"""Secrets that are handed to whoever runs the gateway: in a file of theirs, never in a log.

Rule: the file is nobody else's to read, and what is there already is not written to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FIRST_PASSWORD: Final = "first-password"  # noqa: S105 - the name of a file


def hand_out(data_dir: Path, name: str, secret: str) -> Path:
    """A new file (0600) with the secret; where it is. One of an earlier deployment is replaced.

    Raises ``OSError`` if it cannot be written.
    """
    data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    path = data_dir / name
    draft = path.with_name(f".{name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    draft.replace(path)
    return path.absolute()
