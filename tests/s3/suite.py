"""The suite of the APIs with its blobs in a bucket: ``make test-s3``.

Starts one SeaweedFS, tells every gateway of the run where it is (``tests.tools.s3store``), and leaves out what is
about the disk. Each data directory has keys of its own in the bucket.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.tools.s3store import ENDPOINT
from tests.tools.seaweed import running_seaweed

FOLDERS = ("tests/dialects", "tests/devices", "tests/openapi/test_conformance.py", "tests/s3")
# Stores of their own, folders that are looked into, nginx that reads the disk; two folders on one
# database, which would be two stores.
_LOOKS_AT_A_DISK = (
    *("on_memory", "killed", "blob_is_gone", "opens_no_blob", "blob_is_not_whole"),
    *("only_nginx_misses", "full_disk", "never_a_path", "sweeper_leaves_nothing"),
    *(
        "works_as_it_was_given",
        "form_is_used_once",
        "two_who_post_one_form",
        "refused_if_meanwhile",
    ),
    *("in_one_step_ends_the_one", "that_moves_meanwhile", "in_its_words_and_leaves_nothing"),
    "test_elsewhere",
)
DISK = " and ".join(f"not {name}" for name in _LOOKS_AT_A_DISK)


async def run(arguments: list[str]) -> int:
    """Run pytest on the suite; its exit status."""
    with tempfile.TemporaryDirectory(prefix="seaweed-") as folder:
        async with running_seaweed(Path(folder)) as engine:
            pytest = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pytest", *(arguments or FOLDERS), "-k", DISK),
                env={**os.environ, ENDPOINT: engine.endpoint},
            )
            return await pytest.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(sys.argv[1:])))
