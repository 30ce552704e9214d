"""A folder of backups that a first backup left when it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backup.vault import Vault, VaultFailed


@pytest.mark.parametrize("made", [(), ("blobs",), ("blobs", "incoming", "sets")], ids=len)
def test_a_folder_that_was_half_made_is_made_a_vault(tmp_path: Path, made: tuple[str, ...]) -> None:
    for name in made:
        (tmp_path / name).mkdir()
    Vault(tmp_path).create()
    with pytest.raises(VaultFailed, match="no backup yet"):
        Vault(tmp_path).chosen(None)


@pytest.mark.parametrize("name", ["photos", "blobs/ab"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(VaultFailed, match="holds something else"):
        Vault(tmp_path).create()


def test_a_first_backup_that_was_cut_is_said_to_be_gone_on_with(tmp_path: Path) -> None:
    Vault(tmp_path).create()
    (tmp_path / "blobs" / "ab").mkdir()
    with pytest.raises(VaultFailed, match="begun and cut, repeat `backup`"):
        Vault(tmp_path).chosen(None)
