"""What a disk may hold after the power fails: recorded system calls, and every legal aftermath.

The strictest file system that POSIX allows: bytes that were not fsynced may be there, zeroed,
cut short or absent; each change of a directory that was not fsynced may have happened or not,
whatever the order in which they were made.

Rule: knows system calls, nothing of the store that makes them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import aiofiles.os
import pytest

Kind = Literal["mkdir", "create", "write", "fsync", "link", "unlink", "promise"]
Tree = dict[str, bytes | None]
"""Paths below the root: a file's bytes, or ``None`` for a folder."""

_MOST_LOOSE: Final = 10


@dataclass(frozen=True, slots=True)
class Call:
    """One system call, with paths relative to the recorded root.

    ``target`` is the new name of a link; ``promise`` marks what was said to a caller.
    """

    kind: Kind
    path: str
    data: bytes = b""
    target: str = ""


@dataclass
class Recorder:
    """Notes the calls that change a folder's content or its durability, and lets them happen."""

    root: Path
    calls: list[Call] = field(default_factory=list)

    def promise(self, what: str) -> None:
        """From here on ``what`` must survive."""
        self.calls.append(Call("promise", what))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between Python and the system for the time of a test."""
        for name in ("open", "mkdir", "write", "fsync", "link", "unlink"):
            real = getattr(os, name)
            note: Callable[..., None] = getattr(self, f"_{name}")
            patch.setattr(os, name, _noting(real, note))
        patch.setattr(aiofiles.os, "unlink", aiofiles.os.wrap(os.unlink))  # it had the real one

    def _relative(self, path: str | Path, dir_fd: int | None) -> str | None:
        base = Path(f"/proc/self/fd/{dir_fd}").readlink() if dir_fd is not None else Path()
        full = base / path
        return str(full.relative_to(self.root)) if full.is_relative_to(self.root) else None

    def _note(self, kind: Kind, path: str | None, **more: Any) -> None:
        if path is not None:
            self.calls.append(Call(kind, path, **more))

    def _open(
        self, _: int, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> None:
        if flags & os.O_CREAT:
            self._note("create", self._relative(path, dir_fd))

    def _mkdir(self, _: None, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._note("mkdir", self._relative(path, dir_fd))

    def _write(self, written: int, descriptor: int, data: Any) -> None:
        self._note("write", self._relative("", descriptor), data=bytes(data[:written]))

    def _fsync(self, _: None, descriptor: int) -> None:
        self._note("fsync", self._relative("", descriptor))

    def _link(self, _: None, source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        path = self._relative(target, dst_dir_fd) or ""
        self._note("link", self._relative(source, src_dir_fd), target=path)

    def _unlink(self, _: None, path: str, *, dir_fd: int | None = None) -> None:
        self._note("unlink", self._relative(path, dir_fd))


def _noting(real: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        note(result, *args, **kwargs)
        return result

    return call


@dataclass
class _Inode:
    """A file or folder: what it holds now, what of that is durable, what hangs in the air."""

    folder: bool
    data: bytes = b""
    durable: bytes = b""
    entries: dict[str, _Inode] = field(default_factory=dict)
    kept: dict[str, _Inode] = field(default_factory=dict)
    loose: list[tuple[str, _Inode | None]] = field(default_factory=list)
    known: tuple[int, int, list[bytes]] = (0, 0, [b""])

    def contents(self) -> list[bytes]:
        """What a file may hold after a crash."""
        written, durable, contents = self.known
        if (written, durable) != (len(self.data), len(self.durable)):
            contents = self._contents()
            self.known = (len(self.data), len(self.durable), contents)
        return contents

    def _contents(self) -> list[bytes]:
        if len(self.data) == len(self.durable):  # bytes are only ever added
            return [self.data]
        torn = self.data[: len(self.durable) + (len(self.data) - len(self.durable)) // 2]
        zeroed = self.durable + bytes(len(self.data) - len(self.durable))
        return list(dict.fromkeys([self.durable, torn, zeroed, self.data]))

    def listings(self) -> Iterator[dict[str, _Inode]]:
        """What a folder may list after a crash: any choice of the changes not yet synced."""
        assert len(self.loose) <= _MOST_LOOSE, "sync now and then, or there are too many states"
        for chosen in itertools.product((False, True), repeat=len(self.loose)):
            listing = dict(self.kept)
            for (name, inode), happened in zip(self.loose, chosen, strict=True):
                if happened and inode is not None:
                    listing[name] = inode
                elif happened:
                    listing.pop(name, None)
            yield listing


class Disk:
    """A disk in the middle of its work; it begins with what has been durable for long."""

    def __init__(self, settled: Tree | None = None) -> None:
        self._root = _Inode(folder=True)
        for path, content in sorted((settled or {}).items()):
            inode = _Inode(content is None, content or b"", content or b"")
            parent, _, name = path.rpartition("/")
            folder = self._at(parent)
            folder.entries[name] = folder.kept[name] = inode

    def make(self, call: Call) -> None:
        """Let one call happen."""
        if call.kind in ("mkdir", "create"):
            self._enter(call.path, _Inode(folder=call.kind == "mkdir"))
        elif call.kind == "write":
            self._at(call.path).data += call.data
        elif call.kind == "fsync":
            self._sync(self._at(call.path))
        elif call.kind == "link":
            self._enter(call.target, self._at(call.path))
        elif call.kind == "unlink":
            self._enter(call.path, None)

    def aftermaths(self) -> Iterator[Tree]:
        """Every tree that may be found when the power comes back, each once."""
        seen: set[tuple[tuple[str, bytes | None], ...]] = set()
        for tree in _trees(self._root, ""):
            key = tuple(sorted(tree.items()))
            if key not in seen:
                seen.add(key)
                yield tree

    def _sync(self, inode: _Inode) -> None:
        inode.durable = inode.data
        inode.kept, inode.loose = dict(inode.entries), []

    def _enter(self, path: str, inode: _Inode | None) -> None:
        parent, _, name = path.rpartition("/")
        folder = self._at(parent)
        folder.loose.append((name, inode))
        if inode is None:
            del folder.entries[name]
        else:
            folder.entries[name] = inode

    def _at(self, path: str) -> _Inode:
        inode = self._root
        for name in path.split("/"):
            inode = inode.entries[name] if name not in ("", ".") else inode
        return inode


def _trees(folder: _Inode, path: str) -> Iterator[Tree]:
    for listing in folder.listings():
        choices: list[list[Tree]] = []
        for name, inode in listing.items():
            below = f"{path}{name}"
            if inode.folder:
                choices.append([{below: None, **tree} for tree in _trees(inode, f"{below}/")])
            else:
                choices.append([{below: content} for content in inode.contents()])
        for combination in itertools.product(*choices):
            yield {name: content for tree in combination for name, content in tree.items()}


def crashes(
    calls: Sequence[Call], settled: Tree | None = None
) -> Iterator[tuple[tuple[str, ...], Tree]]:
    """After each call, every aftermath; with what had been promised by then."""
    disk, promised = Disk(settled), list[str]()
    yield (), settled or {}
    for call in calls:
        disk.make(call)
        if call.kind == "promise":
            promised.append(call.path)
        for tree in disk.aftermaths():
            yield tuple(promised), tree


def without_syncs(calls: Sequence[Call], unwanted: Callable[[Call], bool]) -> list[Call]:
    """The calls of a program that forgets some of its fsyncs."""
    return [call for call in calls if call.kind != "fsync" or not unwanted(call)]


def linked_first(calls: Sequence[Call]) -> list[Call]:
    """The calls of a program that gives a file its name before it syncs it."""
    moved = list(calls)
    for link in [call for call in calls if call.kind == "link"]:
        sync = replace(link, kind="fsync", target="")
        if sync in moved:
            moved.remove(sync)
            moved.insert(moved.index(link) + 1, sync)
    return moved


def promised_first(calls: Sequence[Call]) -> list[Call]:
    """The calls of a program that writes the row, and then the blob."""
    promises = [call for call in calls if call.kind == "promise"]
    return [*promises, *(call for call in calls if call.kind != "promise")]


def picked_up(root: Path) -> Tree:
    """A real folder as a tree; a link is no part of it, as the one that says which disk it is."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if not path.is_symlink()}
    return {
        name: None if path.is_dir() else path.read_bytes() for name, path in sorted(found.items())
    }


def lay_out(tree: Tree, root: Path) -> None:
    """The tree as a real folder."""
    root.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
