"""The test firmware: the same for a seed, different everywhere else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.tools.firmware import Firmware, uefi_image


def test_one_seed_is_one_image_and_another_seed_another() -> None:
    assert Firmware(1, 5000).content == Firmware(1, 5000).content
    assert Firmware(1, 5000).content != Firmware(2, 5000).content
    assert Firmware(1, 5000).content == Firmware(1, 9000).content[:5000]


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [
        pytest.param(0, 16, (0, 16), id="first block"),
        pytest.param(7, 30, (7, 37), id="across blocks"),
        pytest.param(995, 100, (995, 1000), id="past the end"),
        pytest.param(1000, 1, (1000, 1000), id="at the end"),
        pytest.param(2000, 5, (1000, 1000), id="beyond the end"),
    ],
)
def test_any_window_can_be_read(offset: int, count: int, expected: tuple[int, int]) -> None:
    image = Firmware(3, 1000)
    assert image.content[slice(*expected)] == image.read(offset, count)


def test_no_window_of_sixteen_bytes_occurs_twice() -> None:
    content = Firmware(4, 1 << 16).content
    windows = {content[i : i + 16] for i in range(len(content) - 15)}
    assert len(content) - 15 == len(windows)


def test_the_digest_and_the_file_are_those_of_the_content(tmp_path: Path) -> None:
    image = Firmware(5, 3_000_001)
    assert hashlib.sha256(image.content).hexdigest() == image.sha256
    assert image.content == image.write_to(tmp_path / "image").read_bytes()
    assert image.content == b"".join(image.chunks(70_000))


@pytest.mark.parametrize(
    ("padded", "size"),
    [pytest.param(True, 64 << 20, id="padded"), pytest.param(False, 2 << 20, id="bare")],
)
def test_the_real_image_is_the_size_that_debian_ships(padded: bool, size: int) -> None:
    assert size == uefi_image(padded=padded).stat().st_size
