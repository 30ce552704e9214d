"""Who may do what without a hook: every policy, role and operation, with written expectations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import aiohttp
import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import (
    OCTETS,
    Hasura,
    Headers,
    caller,
    check_refusal,
)
from tests.tools.inside import InsideGateway
from tests.tools.mainflux import User, sign_in
from tests.tools.rawhttp import Answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSIDE = True
CALLERS = ("admin", "user", "anonymous", "editor", "nobody", "our admin", "our user")
OPERATIONS = ("create", "create anew", "put", "get", "head", "delete")
PASSWORD = "correct-horse"
_ids = count()

# yes: done. no: 403 "no permission for role ...". who: 400 "missing header: X-Hasura-User-Id".
# "nobody" shows no identity; the last two a token of ours. "editor" is a role that no policy knows.
EXPECTED = """
policy     caller      create  create anew  put  get  head  delete

admin      admin       yes     yes          yes  yes  yes   yes
admin      user        no      no           no   no   no    no
admin      anonymous   no      no           no   no   no    no
admin      editor      no      no           no   no   no    no
admin      nobody      who     who          who  who  who   who
admin      our admin   yes     yes          yes  yes  yes   yes
admin      our user    no      no           no   no   no    no

private    admin       yes     yes          yes  yes  yes   yes
private    user        yes     yes          yes  yes  yes   yes
private    anonymous   no      no           no   no   no    no
private    editor      no      no           no   no   no    no
private    nobody      who     who          who  who  who   who
private    our admin   yes     yes          yes  yes  yes   yes
private    our user    yes     yes          yes  yes  yes   yes

public     admin       yes     yes          yes  yes  yes   yes
public     user        yes     yes          yes  yes  yes   yes
public     anonymous   no      no           no   yes  yes   no
public     editor      no      no           no   yes  yes   no
public     nobody      who     who          who  yes  yes   who
public     our admin   yes     yes          yes  yes  yes   yes
public     our user    yes     yes          yes  yes  yes   yes

read-only  admin       no      no           no   yes  yes   no
read-only  user        no      no           no   yes  yes   no
read-only  anonymous   no      no           no   yes  yes   no
read-only  editor      no      no           no   yes  yes   no
read-only  nobody      who     who          who  yes  yes   who
read-only  our admin   no      no           no   yes  yes   no
read-only  our user    no      no           no   yes  yes   no
"""


def parsed(table: str) -> dict[tuple[str, str, str], str]:
    """Columns stand at least two blanks apart."""
    lines = [[c.strip() for c in line.split("  ") if c.strip()] for line in table.splitlines()]
    _, _, *operations = next(line for line in lines if line)
    return {
        (policy, who, operation): answer
        for policy, who, *answers in (line for line in lines if line and line[0] != "policy")
        for operation, answer in zip(operations, answers, strict=True)
    }


MATRIX = parsed(EXPECTED)


async def test_the_matrix_is_whole() -> None:
    policies = ("admin", "private", "public", "read-only")
    assert {(p, c, o) for p in policies for c in CALLERS for o in OPERATIONS} == MATRIX.keys()


@dataclass(frozen=True, slots=True)
class Setup:
    """The policy in force, and the tokens of an admin and of a user of our registry."""

    policy: str
    tokens: dict[str, str]

    def headers(self, who: str) -> Headers:
        """What that caller sends."""
        if who == "nobody":
            return ()
        if who in self.tokens:
            return (("Authorization", f"Bearer {self.tokens[who]}"),)
        return caller(who, 42)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokens(
    gateway: InsideGateway, http: aiohttp.ClientSession, admin: User
) -> AsyncIterator[dict[str, str]]:
    """Those tokens; and the file that everybody reads is made, while an admin may."""
    body = {"email": "user@gateway.test", "password": PASSWORD}
    async with http.post(f"{gateway.url}/users", json=body, headers=admin.headers) as answer:
        assert answer.status == 201
    user = await sign_in(http, gateway.url, body["email"], PASSWORD)
    await Hasura(gateway.port).create("/shared", b"content")
    yield {"our admin": admin.token, "our user": user.token}


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["admin", "private", "public", "read-only"]
)
async def setup(
    request: pytest.FixtureRequest, gateway: InsideGateway, tokens: dict[str, str]
) -> AsyncIterator[Setup]:
    """The same service, started again under each policy."""
    await gateway.restart(hasura_policy=request.param)
    yield Setup(request.param, tokens)


async def attempt(hasura: Hasura, operation: str, headers: Headers) -> Answer:
    """The operation on a file that it can be done to; 404 is how far a delete gets."""
    fresh = f"/file-{next(_ids)}"
    match operation:
        case "create":
            return await hasura.ask("POST", fresh, (*headers, OCTETS), b"content")
        case "create anew":
            return await hasura.ask("POST", "", (*headers, OCTETS), b"content")
        case "put":
            return await hasura.ask("PUT", fresh, (*headers, OCTETS), b"content")
        case "delete":
            return await hasura.ask("DELETE", fresh, headers)
        case _:
            return await hasura.ask(operation.upper(), "/shared", headers)


def check_outcome(expected: str, answer: Answer, operation: str, role: str) -> None:
    if expected == "yes":
        assert (404 if operation == "delete" else 200) == answer.status
    elif operation == "head":
        assert ({"no": 403, "who": 400}[expected], b"") == (answer.status, answer.body)
    elif expected == "no":
        check_refusal(answer, 403, "access_denied", f"no permission for role {role}")
    else:
        check_refusal(answer, 400, "bad_request", "missing header: X-Hasura-User-Id")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("who", CALLERS)
async def test_a_policy_allows_and_refuses_as_written(
    setup: Setup, hasura: Hasura, who: str, operation: str
) -> None:
    answer = await attempt(hasura, operation, setup.headers(who))
    expected = MATRIX[setup.policy, who, operation]
    check_outcome(expected, answer, operation, who.removeprefix("our "))


async def test_only_who_may_read_learns_whether_there_is_a_file(
    setup: Setup, hasura: Hasura
) -> None:
    there = await hasura.ask("GET", "/shared", caller("editor"))
    absent = await hasura.ask("GET", "/absent", caller("editor"))
    if MATRIX[setup.policy, "editor", "get"] == "yes":
        assert (200, 404) == (there.status, absent.status)
    else:
        assert (403, there.body) == (there.status, absent.body)
