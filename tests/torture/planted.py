"""The service, with the defect that the environment names, if it does: ``python -m tests.torture.planted``."""

from __future__ import annotations

import sys

from gateway.__main__ import main
from tests.torture.defects import plant

if __name__ == "__main__":
    plant()
    sys.exit(main())
