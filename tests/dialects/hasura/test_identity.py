"""Who is believed to be who: trusted and untrusted peers, our own tokens, headers that are not whole."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import (
    ADMIN,
    OCTETS,
    PASSED_ON,
    Hasura,
    Headers,
    caller,
    check_refusal,
)
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User, sign_in
from tests.tools.nginx import ACCEL, running_nginx
from tests.tools.ports import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSIDE = True
SECRET = "between-the-proxy-and-us"
USER_ID = "X-Hasura-User-Id"
ROLE = "X-Hasura-Role"
USER_ROLE = "X-Hasura-User-Role"
ALLOWED = "X-Hasura-Allowed-Roles"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wary(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[InsideGateway]:
    """A gateway that believes another network, and who knows the secret; anybody may read."""
    async with gateway_inside(
        tmp_path_factory.mktemp("wary"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies="10.0.0.0/8",
        trusted_proxy_secret=SECRET,
        hasura_policy="public",
    ) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(ADMIN, id="whole"),
        pytest.param(((USER_ID, "42"),), id="only the user"),
        pytest.param(((ROLE, "admin"),), id="only the role"),
        pytest.param(((USER_ROLE, "admin"),), id="the role's other name"),
        pytest.param(((ALLOWED, "admin"),), id="the allowed roles"),
        pytest.param(((USER_ID, ""),), id="empty"),
        pytest.param(((USER_ID.lower(), "nonsense"),), id="nonsense in lower case"),
        pytest.param((*ADMIN, *ADMIN), id="twice"),
        pytest.param((*ADMIN, ("X-Filestore-Proxy-Secret", "guessed")), id="a wrong secret"),
        pytest.param((*ADMIN, ("X-Forwarded-For", "10.0.0.1")), id="a made up address"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_from_an_untrusted_peer_identity_headers_are_an_error(
    wary: InsideGateway, method: str, headers: Headers
) -> None:
    """Even where the policy would let anybody read: nothing is ignored, nothing is believed."""
    body = b"content" if method == "PUT" else b""
    answer = await Hasura(wary.port).ask(method, "/absent", (*headers, OCTETS), body)
    names = [n for n in (USER_ID, ROLE, USER_ROLE, ALLOWED) if n.lower() in lower(headers)]
    message = f"{names[0]} is accepted from trusted proxies only"
    check_refusal(answer, 403, "access_denied", message)


def lower(headers: Headers) -> set[str]:
    return {name.lower() for name, _ in headers}


async def test_who_knows_the_secret_is_believed(wary: InsideGateway) -> None:
    direct, secret = Hasura(wary.port), ("X-Filestore-Proxy-Secret", SECRET)
    answer = await direct.ask(
        "POST", "/by-secret", (*caller("user", 5), OCTETS, secret), b"content"
    )
    said = json.loads(answer.body)
    assert (200, 5, "user") == (answer.status, said["user_id"], said["user_role"])


async def test_what_was_read_as_someone_trusted_is_not_kept_for_others(
    gateway: InsideGateway, wary: InsideGateway
) -> None:
    """The same headers, a moment later, without the secret; and the same path as somebody else."""
    direct, secret = Hasura(wary.port), ("X-Filestore-Proxy-Secret", SECRET)
    await direct.ask("POST", "/kept", (*ADMIN, OCTETS, secret), b"content")
    for _ in range(2):
        assert 200 == (await direct.ask("GET", "/kept", (*ADMIN, secret))).status
        assert 403 == (await direct.ask("GET", "/kept", ADMIN)).status
    own = Hasura(gateway.port)
    await own.create("/kept", b"content")
    for role, status in (("admin", 200), ("user", 403), ("admin", 200)):
        assert status == (await own.ask("GET", "/kept", caller(role))).status


async def test_the_shipped_nginx_lets_no_client_say_who_it_is(
    gateway: InsideGateway, tmp_path: Path, admin: User
) -> None:
    blobs = gateway.data_dir / "blobs"
    async with running_nginx(tmp_path, upstream=f"{HOST}:{gateway.port}", blobs=blobs) as nginx:
        through = Hasura(nginx.port)
        missing = await through.ask("GET", "/absent", ADMIN)
        check_refusal(missing, 400, "bad_request", "missing header: X-Hasura-User-Id")
        headers = (("Authorization", f"Bearer {admin.token}"), *caller("user"))
        answer = await through.ask("GET", "/absent", headers)
        check_refusal(answer, 403, "access_denied", "no permission for role user")


async def test_an_nginx_that_is_not_trusted_is_told_so(wary: InsideGateway, tmp_path: Path) -> None:
    """The mistake of a deployment that has an authentication layer and forgot to name it."""
    upstream, blobs = f"{HOST}:{wary.port}", wary.data_dir / "blobs"
    async with running_nginx(
        tmp_path, upstream=upstream, blobs=blobs, proxy_changes=PASSED_ON
    ) as nginx:
        answer = await Hasura(nginx.port).ask("GET", "/absent", ADMIN)
    message = f"{USER_ID} is accepted from trusted proxies only"
    check_refusal(answer, 403, "access_denied", message)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param(((USER_ID, "4.2"), (ROLE, "admin")), "is no integer", id="decimal point"),
        pytest.param(((USER_ID, "0x2a"), (ROLE, "admin")), "is no integer", id="hexadecimal"),
        pytest.param(((USER_ID, "4_2"), (ROLE, "admin")), "is no integer", id="underscore"),
        pytest.param(((USER_ID, "+42"), (ROLE, "admin")), "is no integer", id="plus"),
        pytest.param(((USER_ID, "--42"), (ROLE, "admin")), "is no integer", id="two minus signs"),
        pytest.param(((USER_ID, "4 2"), (ROLE, "admin")), "is no integer", id="space within"),
        pytest.param(((USER_ID, "42,42"), (ROLE, "admin")), "is no integer", id="list"),
        pytest.param(((USER_ID, "\u0664"), (ROLE, "admin")), "is no integer", id="arabic digit"),
        pytest.param(((USER_ID, "null"), (ROLE, "admin")), "is no integer", id="null"),
        pytest.param(
            ((USER_ID, str(2**63)), (ROLE, "admin")), "is no integer", id="beyond 64 bits"
        ),
        pytest.param(((USER_ID, "9" * 5000), (ROLE, "admin")), "is no integer", id="absurd"),
        pytest.param(
            ((USER_ID, ""), (ROLE, "admin")), "missing header: X-Hasura-User-Id", id="empty user"
        ),
        pytest.param(
            ((USER_ID, "42"), (ROLE, "")), "missing header: X-Hasura-Role", id="empty role"
        ),
        pytest.param(
            ((USER_ID, "42"), (ALLOWED, "admin")),
            "missing header: X-Hasura-Role",
            id="allowed only",
        ),
        pytest.param(
            ((USER_ID, "42"), (USER_ID, "42"), (ROLE, "admin")),
            "the header X-Hasura-User-Id is given more than once",
            id="two users",
        ),
        pytest.param(
            ((USER_ID, "42"), (ROLE, "user"), (ROLE, "admin")),
            "the header X-Hasura-Role is given more than once",
            id="two roles",
        ),
        pytest.param(
            ((USER_ID, "42"), (USER_ROLE, "user"), (USER_ROLE, "user")),
            "the header X-Hasura-User-Role is given more than once",
            id="two roles of the other name",
        ),
        pytest.param(
            (*ADMIN, (ALLOWED, "admin"), (ALLOWED, "user")),
            "the header X-Hasura-Allowed-Roles is given more than once",
            id="two lists of roles",
        ),
        pytest.param(
            (*ADMIN, (USER_ROLE, "user")),
            "X-Hasura-Role and X-Hasura-User-Role differ",
            id="two names, two roles",
        ),
        pytest.param(
            ((USER_ID, "42"), (ROLE, "r" * 129)), "malformed header: X-Hasura-Role", id="long role"
        ),
        pytest.param(
            ((USER_ID, "42"), (ROLE, "a\udcffb")), "malformed header: X-Hasura-Role", id="no text"
        ),
        pytest.param(
            (*ADMIN, (ALLOWED, "admin,a\udcff")),
            "malformed header: X-Hasura-Allowed-Roles",
            id="an allowed role is no text",
        ),
        pytest.param(
            (*ADMIN, ("Authorization", "Bearer x"), ("Authorization", "Bearer y")),
            "the header Authorization is given more than once",
            id="two credentials",
        ),
    ],
)
async def test_what_a_trusted_peer_says_must_be_whole(
    gateway: InsideGateway, headers: Headers, message: str
) -> None:
    sentence = f"{USER_ID} should be an integer" if message == "is no integer" else message
    answer = await Hasura(gateway.port).ask("GET", "/absent", headers)
    check_refusal(answer, 400, "bad_request", sentence)


@pytest.mark.parametrize(
    "user_id", ["0", "-1", "007", "42", str(2**53 + 1), str(2**63 - 1), str(-(2**63))]
)
async def test_an_integer_of_64_bits_is_kept_to_the_last_digit(
    hasura: Hasura, user_id: str
) -> None:
    headers = ((USER_ID, user_id), (ROLE, "admin"), OCTETS)
    answer = await hasura.ask("PUT", "/numbered", headers, b"content")
    assert f'"user_id":{int(user_id)},'.encode() in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(((USER_ID, "42"), (USER_ROLE, "admin")), id="the other name"),
        pytest.param((*ADMIN, (USER_ROLE, "admin")), id="both names"),
        pytest.param((*ADMIN, (ALLOWED, "admin, user")), id="with allowed roles"),
        pytest.param(
            (*ADMIN, ("Authorization", "Bearer of-another-system")), id="and its own token"
        ),
    ],
)
async def test_an_admin_in_other_words(hasura: Hasura, headers: Headers) -> None:
    answer = await hasura.ask("PUT", "/worded", (*headers, OCTETS), b"content")
    said = json.loads(answer.body)
    assert (200, 42, "admin") == (answer.status, said["user_id"], said["user_role"])


async def test_our_own_token_says_who_and_which_role(
    gateway: InsideGateway, hasura: Hasura, admin: User, http: aiohttp.ClientSession
) -> None:
    """The id is an integer that stays with the user, through logins and changed passwords."""
    ids = []
    for _ in range(2):
        user = await sign_in(http, gateway.url)
        headers = (("Authorization", f"Bearer {user.token}"), OCTETS)
        answer = await hasura.ask("PUT", "/ours", headers, b"content")
        said = json.loads(answer.body)
        assert (200, "admin") == (answer.status, said["user_role"])
        ids.append(said["user_id"])
    assert ids[0] == ids[1]
    assert type(ids[0]) is int


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer x", "Basic eDp5", "Basic", "Basic ?", "Thing 42", "x", "Bearer a b", "a b"],
)
async def test_a_credential_that_proves_nothing_is_unauthorised(
    hasura: Hasura, authorization: str
) -> None:
    answer = await hasura.ask("GET", "/absent", (("Authorization", authorization),))
    check_refusal(answer, 401, "unauthorized", "missing or invalid credentials provided")
    challenges = ["Bearer", 'Basic realm="filestore", charset="UTF-8"']
    assert challenges == answer.head.all("WWW-Authenticate")


ROLES = {
    "none": (200, "admin", ()),
    "its own": (200, "admin", ((ROLE, "admin"),)),
    "a lesser one": (200, "user", ((ROLE, "user"),)),
    "an empty one": (200, "admin", ((ROLE, ""),)),
    "one that it has not": (403, f"{ROLE} is none of the caller's roles", ((ROLE, "editor"),)),
    "two": (400, f"the header {ROLE} is given more than once", ((ROLE, "user"), (ROLE, "user"))),
}


@pytest.mark.parametrize("by", ["Bearer", "Basic"])
@pytest.mark.parametrize(("status", "said", "headers"), ROLES.values(), ids=ROLES)
async def test_a_role_beside_a_token_is_a_wish(
    wary: InsideGateway,
    http: aiohttp.ClientSession,
    by: str,
    status: int,
    said: str,
    headers: Headers,
) -> None:
    """As the Android and iOS SDKs send it, to a gateway that trusts nobody."""
    token = (await sign_in(http, wary.url)).token
    proof = token if by == "Bearer" else base64.b64encode(f"me:{token}".encode()).decode()
    shown = (("Authorization", f"{by} {proof}"), *headers, OCTETS)
    answer = await Hasura(wary.port).ask("PUT", "/wished", shown, b"content")
    told = json.loads(answer.body)
    assert (status, said) == (
        answer.status,
        told["user_role"] if status == 200 else told["message"],
    )


async def test_a_wish_is_no_assertion(wary: InsideGateway, http: aiohttp.ClientSession) -> None:
    """Not without a credential, not beside a name, and not what was kept for another role."""
    token = ("Authorization", f"Bearer {(await sign_in(http, wary.url)).token}")
    direct = Hasura(wary.port)
    for headers in (((ROLE, "admin"),), (token, (ROLE, "user"), (USER_ID, "1"))):
        assert 403 == (await direct.ask("GET", "/absent", headers)).status
    stranger = (("Authorization", "Bearer x"), (ROLE, "admin"))
    assert 401 == (await direct.ask("GET", "/absent", stranger)).status
