"""The scenarios, by the number of their row in the table of targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Finding
from benchmarks.scenarios import (
    bucket,
    catalogue,
    devices,
    edge,
    effort,
    memory,
    mixed,
    pages,
    ranges,
    small_uploads,
    stalled,
    tls,
    uploads,
    whole,
)

Scenario = Callable[[Bench, Finding], None]

SCENARIOS: Final[dict[int, Scenario]] = {
    1: edge.cached_decision,
    2: ranges.small_ranges,
    3: ranges.large_ranges,
    4: whole.alone,
    5: whole.by_accel,
    6: uploads.against_dav,
    7: uploads.against_naive,
    8: uploads.against_limit,
    9: memory.growth,
    10: stalled.per_connection,
    11: devices.held_at_once,
    12: small_uploads.beside_peers,
    13: catalogue.growing,
    14: effort.cpu_per_gib,
    15: mixed.ranges_beside,
    16: mixed.still_stands,
    17: tls.over_tls,
    18: ranges.several_ranges,
    19: pages.of_each_dialect,
    20: bucket.through_the_store,
    21: bucket.by_slices,
    22: bucket.growth,
}
