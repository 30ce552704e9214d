"""The service keeps to its document, whatever schemathesis thinks of: a short run; ``make schemathesis``
is the long one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.openapi.conformance import SHORT_EXAMPLES, SHORT_PHASES, try_everything
from tests.tools.gateway import running_gateway
from tests.tools.ports import HOST


@pytest.mark.timeout(300)  # some thousands of requests, on whatever machine
async def test_the_service_keeps_to_its_document(tmp_path: Path, postgres_server: str) -> None:
    """
    No 5xx; no status, media type, header or body that the document does not have. The answers are
    of every kind, so the requests were not all refused at the door.
    """
    reports = tmp_path / "reports"
    reports.mkdir()
    async with running_gateway(
        tmp_path, database_server=postgres_server, trusted_proxies=f"{HOST}/32"
    ) as gateway:
        outcomes = await try_everything(
            gateway, reports, examples=SHORT_EXAMPLES, phases=SHORT_PHASES
        )
    failed = [outcome.said for outcome in outcomes if outcome.status != 0]
    assert not failed, "\n".join(failed)
    lines = (json.loads(line) for line in gateway.log.splitlines() if line.startswith("{"))
    answered = Counter(line["status"] for line in lines if line.get("event") == "request")
    assert {200, 201, 204, 206, 304, 400, 401, 404, 405, 409, 412, 415} <= answered.keys(), answered
