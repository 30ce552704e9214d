"""The service in a process that may have few descriptors: ``python -m tests.tools.few_descriptors serve``.

``TESTS_DESCRIPTORS`` says how many.
"""

from __future__ import annotations

import os
import resource
import sys

from gateway import __main__ as service


def main() -> int:
    """The service, under a limit of its own."""
    limit = int(os.environ["TESTS_DESCRIPTORS"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return service.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
