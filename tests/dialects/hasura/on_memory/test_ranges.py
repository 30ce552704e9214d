"""Every form of a range, of a blob in memory."""

from __future__ import annotations

from tests.dialects.hasura.test_ranges import *  # noqa: F403 - the same tests, on another store

# Of the gateway itself, as ``conftest`` says; an nginx before it would only pass them on.
del way, hasura, caller, edge  # noqa: F821
