"""What is mutated, and by which tests it is held: small ones, so that thousands of mutants take minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Area:
    """Some modules, and the tests that have to notice a defect in them.

    ``server``: the tests want PostgreSQL; one server is started for all mutants.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    server: bool = False


AREAS: Final = (
    Area(
        "ranges",
        ("gateway/model/byterange.py",),
        ("tests/unit/test_byterange.py",),
    ),
    Area(
        "conditions",
        ("gateway/model/precondition.py", "gateway/web/downloads/decide.py"),
        ("tests/unit/test_precondition.py", "tests/unit/test_decide.py"),
    ),
    Area(
        "names",
        ("gateway/model/file.py", "gateway/model/disposition.py"),
        ("tests/unit/test_file.py", "tests/unit/test_disposition.py"),
    ),
    Area(
        "signatures",
        (
            "gateway/web/signing/links.py",
            "gateway/web/signing/sigv4.py",
            "gateway/messaging/signing.py",
        ),
        ("tests/unit/test_links.py", "tests/unit/test_sigv4.py", "tests/unit/test_signing.py"),
    ),
    Area(
        "rights",
        (
            "gateway/model/access.py",
            "gateway/model/guard.py",
            "gateway/identity/rights.py",
            "gateway/identity/policies.py",
        ),
        (
            "tests/unit/test_access.py",
            "tests/unit/test_guard.py",
            "tests/contract/test_guard.py",
            "tests/identity/test_policies.py",
            "tests/identity/test_things.py",
            "tests/identity/test_taking_back.py",
            "tests/identity/test_audit.py",
        ),
        server=True,
    ),
    Area(
        "quotas",
        (
            "gateway/model/quota.py",
            "gateway/quotas/metered.py",
            "gateway/quotas/reservations.py",
            "gateway/quotas/service.py",
        ),
        ("tests/unit/test_quota.py", "tests/contract/test_quotas.py"),
        server=True,
    ),
    Area(
        "publishing",
        ("gateway/blobs/disk/publishing.py",),
        ("tests/unit/test_publishing.py", "tests/unit/test_batches.py"),
    ),
    Area(
        "commit",
        ("gateway/filestore.py",),
        ("tests/contract/test_filestore.py",),
        server=True,
    ),
    Area(
        "catalogue",
        ("gateway/catalogue/postgres_files.py",),
        ("tests/contract/test_catalogue.py",),
        server=True,
    ),
)
