"""Where chance in the tests comes from: fixed seeds, or fresh ones behind ``make explore``.

Rule: without ``GATEWAY_TESTS_EXPLORE`` every test makes the same choices on every machine, however
slow, so that a fresh clone passes or fails alike for everybody. With it (a number, the seed) the
same tests go where nobody was before, and the number brings them there again.
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, settings

EXPLORE = "GATEWAY_TESTS_EXPLORE"
FIXED_EXAMPLES = 200
TIMES_EXPLORED = 5


def exploring() -> int | None:
    """The seed of this exploration; ``None`` if the seeds are the fixed ones."""
    text = os.environ.get(EXPLORE)
    return int(text) if text else None


def choices(seed: object) -> random.Random:
    """A source of choices of its own for ``seed``, which says where it is used."""
    fresh = exploring()
    return random.Random(f"{seed}" if fresh is None else f"{seed}/{fresh}")


def load_hypothesis_profile() -> None:
    """What every property test runs under. The examples of earlier failures stand in the tests
    themselves (``@example``) and not in a database, which a fresh clone does not have.
    """
    # How slow a machine is decides nothing.
    common = settings(
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile(
        "fixed", settings(common, derandomize=True, max_examples=FIXED_EXAMPLES)
    )
    settings.register_profile(
        "explore", settings(common, derandomize=False, max_examples=FIXED_EXAMPLES * TIMES_EXPLORED)
    )
    settings.load_profile("fixed" if exploring() is None else "explore")


def examples(fixed: int) -> settings:
    """As many examples for a test whose cases are cheap, or rare; an exploration tries more."""
    return settings(max_examples=fixed * (1 if exploring() is None else TIMES_EXPLORED))
