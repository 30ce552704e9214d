"""The folder that backups are kept in: its layout, and what makes it durable. All of it blocks.

::

    vault.json                 what this folder is, and in which format
    blobs/<xx>/<blob id>       bytes, shared by all sets: a blob never changes, so it is copied once
    incoming/                  what is being written
    damaged/                   blobs that `verify` found damaged, out of the way of a better copy
    sets/<moment>/set.json     one backup: how many blobs and bytes, and the SHA-256 of
        catalogue.dump         the database, as pg_dump has it
        blobs.jsonl            a line for each blob that the database names
        secret                 the deployment's secret, or
        secret.sealed          the same under a passphrase

A set is written under ``incoming`` and renamed when all that it names is durable, so whatever is
in ``sets`` is whole. Sets are named by their moment, hence sorted by age.

Rule: nothing in ``blobs`` is ever overwritten; it goes when no set names it any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import orjson

from gateway.model.digest import Digest
from gateway.model.errors import GatewayError, StartupFailed
from gateway.model.file import Blob, Scope

FORMAT: Final = 1
DUMP: Final = "catalogue.dump"
BLOBS: Final = "blobs.jsonl"
PLAIN: Final = "secret"
SEALED: Final = "secret.sealed"
_SET: Final = "set.json"
_VAULT: Final = "vault.json"
_PIECE_BYTES: Final = 1024 * 1024
_FOLDERS: Final = ("blobs", "incoming", "sets")


class VaultFailed(StartupFailed):
    """The folder is no vault, is in use, or cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a set holds: the gateway's version, blobs and their bytes, how many blobs were lost."""

    gateway: str
    blobs: int
    size: int
    lost: int


@dataclass(frozen=True, slots=True)
class BackupSet:
    """One backup; ``files`` are the SHA-256 of its own files by name."""

    moment: str
    contents: Contents
    files: dict[str, str]


class Received:
    """A blob on its way into a vault, hashed. Raises ``VaultFailed`` if it cannot be written."""

    def __init__(self, file: FileIO, draft: Path, place: Path) -> None:
        self._file = file
        self._draft = draft
        self._place = place
        self._hasher = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        with _faults(self._draft):
            self._hasher.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._hasher.hexdigest()

    def finish(self) -> None:
        """Give the bytes, now durable, their place; its name becomes so by ``sync_blobs``."""
        with _faults(self._draft):
            os.fsync(self._file.fileno())
            self._place.parent.mkdir(mode=0o700, exist_ok=True)
            self._draft.rename(self._place)


class Vault:
    """One folder of backups."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self) -> None:
        """Make the folder a vault, if it is empty or not there. Raises ``VaultFailed``."""
        with _faults(self._root):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self._root / _VAULT).is_file():
                if not self._is_half_made():
                    raise VaultFailed(f"{self._root} holds something else: give an empty folder")
                for name in _FOLDERS:
                    (self._root / name).mkdir(mode=0o700, exist_ok=True)
                write_durably(self._root / _VAULT, orjson.dumps({"format": FORMAT}))
                sync_folder(self._root)
                sync_folder(self._root.resolve().parent)
        self.check()

    def check(self) -> None:
        """Raise ``VaultFailed`` unless the folder is a vault of this format."""
        with _faults(self._root):
            try:
                found = orjson.loads((self._root / _VAULT).read_bytes())["format"]
            except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as exc:
                raise VaultFailed(f"{self._root} holds no backups of a gateway") from exc
        if found != FORMAT:
            raise VaultFailed(f"{self._root} is in format {found}; this gateway knows {FORMAT}")

    def _is_half_made(self) -> bool:
        """Whether nothing is there but what a first backup makes first: it may have been killed."""
        entries = list(self._root.iterdir())
        return all(entry.name in _FOLDERS and not any(entry.iterdir()) for entry in entries)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Alone in the folder. Raises ``VaultFailed`` if somebody else is at work in it."""
        with _faults(self._root):
            descriptor = os.open(self._root / _VAULT, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VaultFailed(f"{self._root} is in use by another command") from None
            yield
        finally:
            os.close(descriptor)

    def sets(self) -> list[BackupSet]:
        """All that is whole, oldest first."""
        with _faults(self._root):
            moments = sorted(path.name for path in (self._root / "sets").iterdir())
        return [self._set(moment) for moment in moments]

    def chosen(self, moment: str | None) -> BackupSet:
        """The set of that moment, or the newest. Raises ``VaultFailed`` if there is none."""
        found = [one for one in self.sets() if moment in (None, one.moment)]
        if not found:
            raise VaultFailed(f"{self._root} has {self._nothing(moment)}")
        return found[-1]

    def _nothing(self, moment: str | None) -> str:
        if moment:
            return f"no backup of {moment}"
        if any((self._root / "blobs").iterdir()):
            return "no whole backup yet: one was begun and cut, repeat `backup`, which goes on"
        return "no backup yet"

    def path(self, backup: BackupSet, name: str) -> Path:
        """Where a file of the set is."""
        return self._root / "sets" / backup.moment / name

    def content(self, backup: BackupSet, name: str) -> bytes:
        """A small file of the set. Raises ``VaultFailed``."""
        with _faults(self._root):
            return self.path(backup, name).read_bytes()

    def blobs_of(self, backup: BackupSet) -> Iterator[Blob]:
        """Every blob that the set names."""
        return read_lines(self.path(backup, BLOBS))

    # Blobs.

    def size_of(self, blob_id: UUID) -> int | None:
        """How many bytes there are of the blob; ``None`` if it is not here."""
        with _faults(self._root), contextlib.suppress(FileNotFoundError):
            return self._place(blob_id).stat().st_size
        return None

    @contextlib.contextmanager
    def receiving(self, blob: Blob) -> Iterator[Received]:
        """What takes the blob's bytes; nothing is left of it unless it was finished."""
        draft = self._root / "incoming" / str(uuid4())
        with _faults(self._root):
            file = draft.open("xb", buffering=0)
        try:
            yield Received(file, draft, self._place(blob.id))
        finally:
            file.close()
            draft.unlink(missing_ok=True)

    def sync_blobs(self) -> None:
        """Make the names of all blobs durable."""
        with _faults(self._root):
            for folder in (self._root / "blobs").iterdir():
                sync_folder(folder)
            sync_folder(self._root / "blobs")

    def pieces(self, blob: Blob) -> Iterator[bytes]:
        """The blob's bytes. Raises ``FileNotFoundError`` if it is not here."""
        with self._place(blob.id).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def digest_of(self, blob: Blob) -> str:
        """SHA-256 of what is here under its id. Raises ``OSError``."""
        return _digest_of(self._place(blob.id))

    def set_aside(self, blob_id: UUID) -> bool:
        """Take a damaged blob out of its place, so that the next backup copies it anew.

        Its bytes are kept below ``damaged``. Whether that could be done: the folder may be one
        that is only read.
        """
        aside = self._root / "damaged"
        with contextlib.suppress(OSError):
            aside.mkdir(mode=0o700, exist_ok=True)
            self._place(blob_id).rename(aside / f"{blob_id}.{uuid4().hex[:8]}")
            sync_folder(aside)
            return True
        return False

    def damaged_files(self, backup: BackupSet) -> list[str]:
        """The set's own files that are not what they were, or not there."""
        return [n for n, sha256 in backup.files.items() if self._differs(backup, n, sha256)]

    # Sets.

    @contextlib.contextmanager
    def drafting(self) -> Iterator[Path]:
        """A folder for the files of a new set; gone at the end of the block unless published."""
        draft = self._root / "incoming" / str(uuid4())
        with _faults(self._root):
            draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, contents: Contents) -> BackupSet:
        """Make a set of the files in ``draft``, durably. All its blobs are durable by now."""
        with _faults(self._root):
            files = {path.name: _digest_of(path) for path in sorted(draft.iterdir())}
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            backup = BackupSet(moment, contents, files)
            for path in draft.iterdir():
                _sync(path)
            write_durably(draft / _SET, orjson.dumps(backup))
            sync_folder(draft)
            draft.rename(self._root / "sets" / moment)
            sync_folder(self._root / "sets")
        return backup

    def keep(self, count: int) -> int:
        """Remove all sets but the newest ``count``, and blobs that no set names; how many blobs."""
        for old in self.sets()[:-count]:
            with _faults(self._root):
                gone = self._root / "incoming" / str(uuid4())
                (self._root / "sets" / old.moment).rename(gone)
                sync_folder(self._root / "sets")
                shutil.rmtree(gone)
        named = {blob.id for backup in self.sets() for blob in self.blobs_of(backup)}
        return self._remove_all_but(named)

    def tidy(self) -> None:
        """Remove what a command that was killed left under ``incoming``."""
        with _faults(self._root):
            for path in (self._root / "incoming").iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _remove_all_but(self, named: set[UUID]) -> int:
        removed = 0
        with _faults(self._root):
            for path in (self._root / "blobs").glob("*/*"):
                if UUID(path.name) not in named:
                    path.unlink()
                    removed += 1
        return removed

    def _set(self, moment: str) -> BackupSet:
        with _faults(self._root):
            written = (self._root / "sets" / moment / _SET).read_bytes()
        try:
            known = orjson.loads(written)
            return BackupSet(known["moment"], Contents(**known["contents"]), known["files"])
        except (ValueError, KeyError, TypeError) as exc:
            raise VaultFailed(f"the backup of {moment} is damaged: {_SET}") from exc

    def _place(self, blob_id: UUID) -> Path:
        return self._root / "blobs" / blob_id.hex[:2] / str(blob_id)

    def _differs(self, backup: BackupSet, name: str, sha256: str) -> bool:
        try:
            return _digest_of(self.path(backup, name)) != sha256
        except OSError:
            return True


def line_of(blob: Blob) -> bytes:
    """A blob as a line of ``blobs.jsonl``."""
    scope = {"kind": blob.scope.kind, "owner": blob.scope.owner}
    known = {"id": str(blob.id), **scope, "size": blob.size, "sha256": blob.digest.hex}
    return orjson.dumps(known) + b"\n"


def blob_of(line: bytes) -> Blob:
    """What ``line_of`` wrote. Raises ``VaultFailed``."""
    try:
        known = orjson.loads(line)
        scope = Scope(known["kind"], known["owner"])
        return Blob(UUID(known["id"]), scope, known["size"], Digest(known["sha256"]))
    except (ValueError, KeyError, TypeError, GatewayError) as exc:
        raise VaultFailed(f"{BLOBS} is damaged") from exc


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Lengthen a list of blobs. Raises ``VaultFailed``."""
    with _faults(path), path.open("ab") as file:
        file.writelines(lines)


def read_lines(path: Path) -> Iterator[Blob]:
    """Every blob of a list. Raises ``VaultFailed``."""
    with _faults(path), path.open("rb") as lines:
        for line in lines:
            yield blob_of(line)


def write_durably(path: Path, content: bytes) -> None:
    """A new file, 0600, its bytes durable; raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _faults(root: Path) -> Iterator[None]:
    """The operating system's refusals, with where."""
    try:
        yield
    except OSError as exc:
        raise VaultFailed(f"{exc.filename or root}: {exc.strerror}") from exc
