"""Promise P1 on disk: after ``seal`` the blob is whole, whatever of the rest the disk lost.

The real store runs once, recorded; then the power fails after each of its system calls in every
way a disk may take that. The same judge must condemn a store that forgets one kind of fsync.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from gateway.blobs.disk.store import open_disk_store
from gateway.model.digest import Digest
from gateway.model.file import Blob, Scope
from gateway.settings.core import Settings
from gateway.settings.deployed import disk_identity
from tests.faults.powerloss import (
    Call,
    Recorder,
    Tree,
    crashes,
    lay_out,
    linked_first,
    without_syncs,
)
from tests.tools.firmware import Firmware

SCOPE = Scope("things", "t1")
FIRST, SECOND = Firmware(1, 1_200_000).content[:1_100_000], b"the second version"


def test_the_id_of_a_store_is_durable_before_anybody_remembers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, real = list[str](), os.symlink

    def link(target: str, place: Path, is_folder: bool) -> None:
        done.append("link")
        real(target, place, is_folder)

    monkeypatch.setattr(os, "symlink", link)
    monkeypatch.setattr(
        os, "fsync", lambda fd: done.append(Path(f"/proc/self/fd/{fd}").resolve().name)
    )
    disk_identity(Settings(data_dir=tmp_path))
    assert ["link", "blobs"] == done[-2:]


class Broken(Exception):
    """A state that breaks the promise."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """The calls of a new store, an upload, another one that replaces it, and the old one's end."""
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(tmp_path_factory.mktemp("recorded"))
        recorder.install(patch)
        asyncio.run(_replace_a_file(recorder))
    return recorder.calls


async def _replace_a_file(recorder: Recorder) -> None:
    async with open_disk_store(recorder.root / "data") as store:
        blobs = []
        for content in (FIRST, SECOND):
            async with store.stage(SCOPE) as writer:
                await writer.write(content)
                blobs.append(await writer.seal())
            recorder.promise(_promise(blobs[-1]))
            if len(blobs) == 2:
                recorder.promise(f"forget {_promise(blobs[0])}")
                await store.remove(SCOPE, blobs[0].id)


def _promise(blob: Blob) -> str:
    return f"{blob.id} {blob.digest.hex} {blob.size}"


def _blob(promise: str) -> Blob:
    blob_id, digest, size = promise.split()
    return Blob(UUID(blob_id), SCOPE, int(size), Digest(digest))


def _owed(promised: Sequence[str]) -> list[Blob]:
    """What must be there: what was promised and not given up since."""
    given_up = {p.removeprefix("forget ") for p in promised if p.startswith("forget ")}
    return [_blob(p) for p in promised if p not in given_up and not p.startswith("forget ")]


def judge(promised: Sequence[str], tree: Tree) -> None:
    """Raise ``Broken`` unless all that is owed is whole, and nothing permanent is a lie."""
    for blob in _owed(promised):
        content = tree.get(f"data/blobs/{SCOPE}/{blob.id}")
        if content is None or hashlib.sha256(content).hexdigest() != blob.digest.hex:
            raise Broken(f"{blob.id} was promised and is lost")
    for path, content in tree.items():
        if path.startswith("data/blobs/things/") and content not in (None, FIRST, SECOND):
            raise Broken(f"{path} is not what was sent")


def test_no_power_cut_breaks_the_promise(recorded: list[Call]) -> None:
    states = 0
    for promised, tree in crashes(recorded):
        judge(promised, tree)
        states += 1
    assert states > 200


@pytest.mark.parametrize(
    "forgotten",
    [
        pytest.param(lambda call: call.path.endswith(".part"), id="the file"),
        pytest.param(lambda call: call.path == f"data/blobs/{SCOPE}", id="its folder"),
        pytest.param(lambda call: call.path == "data/blobs/things", id="the new folder's parent"),
        pytest.param(lambda call: call.path == "data/blobs", id="the new kind's parent"),
        pytest.param(lambda call: call.path == "data", id="the data directory"),
        pytest.param(lambda call: call.path == ".", id="the data directory's parent"),
    ],
)
def test_a_store_that_forgets_an_fsync_is_condemned(
    recorded: list[Call], forgotten: Callable[[Call], bool]
) -> None:
    mutant = without_syncs(recorded, forgotten)
    assert len(mutant) < len(recorded)
    with pytest.raises(Broken):
        _judge_all(mutant)


def test_a_store_that_names_before_it_syncs_is_condemned(recorded: list[Call]) -> None:
    with pytest.raises(Broken):
        _judge_all(linked_first(recorded))


def _judge_all(calls: Sequence[Call]) -> None:
    for promised, tree in crashes(calls):
        judge(promised, tree)


async def test_the_store_opens_whatever_the_power_cut_left(
    recorded: list[Call], tmp_path: Path
) -> None:
    """The real recovery: it opens, serves what is owed, clears what is not, takes new files."""
    different = {tuple(sorted(tree.items())): (p, tree) for p, tree in crashes(recorded)}
    for number, (promised, tree) in enumerate(different.values()):
        lay_out(tree, tmp_path / str(number))
        async with open_disk_store(tmp_path / str(number) / "data") as store:
            for blob in _owed(promised):
                reader = await store.open(blob)
                content = await reader.read(0, reader.size)
                reader.close()
                assert blob.digest.hex == hashlib.sha256(content).hexdigest()
            await store.clear_incoming(older_than_seconds=-1)
            async with store.stage(SCOPE) as writer:
                await writer.write(b"after the cut")
                await writer.seal()
        assert [] == list((tmp_path / str(number) / "data" / "incoming").iterdir())
