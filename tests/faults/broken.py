"""System calls that fail in every way they may, about paths of a kind.

Stands between Python and the system; what the kernel does by itself (``sendfile`` from the page cache) is not seen.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiofiles.os
import pytest

Match = Callable[[str], bool]


def is_part(path: str) -> bool:
    return path.endswith(".part")


def is_scope(path: str) -> bool:
    return path.rpartition("/")[0].endswith("/blobs/things")


def is_kind(path: str) -> bool:
    return path.endswith("/blobs/things")


def is_root(path: str) -> bool:
    return path.endswith("/blobs")


def is_blob(path: str) -> bool:
    return is_scope(path.rpartition("/")[0])


class Faults:
    """Stands between Python and the system; knows which path every call is about."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.synced = Counter[int]()
        self.hits = 0
        self._plan: list[tuple[str, Match, int, int]] = []
        self._short = False
        self._shrinks: int | None = None
        for module, names in (
            (os, ("open", "mkdir", "write", "fsync", "close", "link", "unlink", "fstatvfs")),
            (os, ("pread", "preadv", "fstat", "sendfile")),
            (fcntl, ("flock",)),
        ):
            for name in names:
                patch.setattr(module, name, self._wrapped(name, getattr(module, name)))
        patch.setattr(aiofiles.os, "unlink", aiofiles.os.wrap(os.unlink))  # it had the real one

    @contextmanager
    def failing(self, call: str, match: Match, error: int, *, at: int = 1) -> Iterator[None]:
        """The ``at``-th ``call`` about such a path fails, and every later one."""
        self._plan.append((call, match, error, at))
        try:
            yield
        finally:
            self._plan.clear()

    def also(self, call: str, match: Match, error: int) -> None:
        """The same of another call, for as long as a block of ``failing`` lasts."""
        self._plan.append((call, match, error, 1))

    @contextmanager
    def short_writes(self) -> Iterator[None]:
        """The disk takes a few bytes at a time."""
        self._short = True
        try:
            yield
        finally:
            self._short = False

    @contextmanager
    def shrinking(self, size: int) -> Iterator[None]:
        """A blob that is looked at has only so many bytes from then on."""
        self._shrinks = size
        try:
            yield
        finally:
            self._shrinks = None

    def _shrink(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self._shrinks is not None and "/blobs/" in str(path) and path.is_file():
            self.hits += 1
            os.truncate(path, self._shrinks)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            planned = [plan for plan in self._plan if plan[0] == name]
            if name == "fsync":
                self.synced[os.stat(args[0]).st_ino] += 1  # noqa: PTH116 - a descriptor
            if name == "write" and self._short:
                return real(args[0], args[1][:997])
            path = _path_of(args, kwargs) if planned else ""
            for place, (_, match, error, at) in enumerate(planned):
                if match(path):
                    if at <= 1:
                        self.hits += 1
                        if name == "close":
                            real(*args)
                        raise OSError(error, os.strerror(error))
                    self._plan[place] = (name, match, error, at - 1)
            result = real(*args, **kwargs)
            if name == "fstat" and self._shrinks is not None:
                self._shrink(args[0])
            return result

        return call


def _path_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    folder = kwargs.get("dir_fd", kwargs.get("dst_dir_fd"))
    if len(args) > 2 and isinstance(args[1], int) and isinstance(args[0], int):
        return str(Path(f"/proc/self/fd/{args[1]}").readlink())  # sendfile: to, from
    if isinstance(args[0], int):
        return str(Path(f"/proc/self/fd/{args[0]}").readlink())
    name = args[1] if "dst_dir_fd" in kwargs else args[0]
    return str(Path(f"/proc/self/fd/{folder}").readlink() / name) if folder else str(name)
