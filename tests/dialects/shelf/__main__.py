"""The service with this dialect beside those that are shipped: ``python -m tests.dialects.shelf serve``."""

from __future__ import annotations

import sys

from gateway.__main__ import main
from tests.dialects.shelf.dialect import WITH_SHELF

if __name__ == "__main__":
    sys.exit(main(dialects=WITH_SHELF, module=__package__ or ""))
