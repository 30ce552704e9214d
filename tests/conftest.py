"""What every test shares."""

from __future__ import annotations

from tests.chance import load_hypothesis_profile

load_hypothesis_profile()
pytest_plugins = ["pytester", "tests.strictness", "tests.parallel", "tests.databases"]
