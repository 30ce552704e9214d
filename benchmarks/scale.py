"""How much is measured: everything, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in bytes, times in seconds."""

    name: str
    rounds: int
    load_seconds: int
    warm_up_seconds: int
    image_bytes: int
    downloads: int
    upload_bytes: int
    upload_rounds: int
    large_upload_bytes: int
    parallel_upload_bytes: int
    parallel_uploads: int
    stalled: int
    devices: int
    device_image_bytes: int
    device_bandwidth: int
    ramp_seconds: float
    clients: int
    few_files: int
    many_files: int


FULL: Final = Scale(
    name="full",
    rounds=3,
    load_seconds=3,
    warm_up_seconds=1,
    image_bytes=GIB,
    downloads=3,
    upload_bytes=512 * MIB,
    upload_rounds=5,
    large_upload_bytes=4 * GIB,
    parallel_upload_bytes=256 * MIB,
    parallel_uploads=16,
    stalled=2_000,
    devices=20_000,
    device_image_bytes=384 * 1024,
    device_bandwidth=8 * 1024,
    ramp_seconds=15.0,
    clients=16,
    few_files=1_000,
    many_files=1_000_000,
)

QUICK: Final = Scale(
    name="quick",
    rounds=2,
    load_seconds=1,
    warm_up_seconds=1,
    image_bytes=128 * MIB,
    downloads=2,
    upload_bytes=128 * MIB,
    upload_rounds=2,
    large_upload_bytes=512 * MIB,
    parallel_upload_bytes=32 * MIB,
    parallel_uploads=16,
    stalled=300,
    devices=500,
    device_image_bytes=192 * 1024,
    device_bandwidth=32 * 1024,
    ramp_seconds=2.0,
    clients=16,
    few_files=1_000,
    many_files=20_000,
)
