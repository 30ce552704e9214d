"""Uploads, conditions and digests, of blobs in memory."""

from __future__ import annotations

from tests.dialects.hasura.test_files import *  # noqa: F403 - the same tests, on another store

# It looks for the blob on the disk.
del test_an_id_is_never_a_path  # noqa: F821
