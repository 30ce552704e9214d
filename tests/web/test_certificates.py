"""Things known by client certificates that a real nginx has verified: beside their key, or alone.

Asked of the gateway as nginx asks it, of nginx that sends by X-Accel-Redirect, and of nginx in edge mode,
whose certificates come from a real authority.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tools.certificates import Authority, Issued
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, sign_in, upload
from tests.tools.nginx import running_nginx
from tests.tools.ports import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Front:
    """A gateway, and the ways to it: behind nginx in either mode, or where nginx stands."""

    gateway: GatewayProcess
    authority: Authority
    ports: Mapping[str, int]
    admin: User

    async def get(
        self, way: str, path: str, shown: Issued | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """By ``way``, as whoever shows this certificate."""
        told = {**headers, **(shown.headers if shown is not None and way == "direct" else {})}
        scheme = "http" if way == "direct" else "https"
        url = f"{scheme}://{HOST}:{self.ports[way]}{path}"
        context = False if way == "direct" else self.authority.client(shown)
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=told, ssl=context) as answer,
        ):
            return answer.status, await answer.read()

    async def ask(
        self, user: User, method: str, path: str, body: object = None
    ) -> tuple[int, dict[str, object]]:
        async with user.session.request(
            method, f"{self.gateway.url}{path}", json=body, headers=user.headers
        ) as answer:
            return answer.status, (await answer.json() if answer.status != 204 else {})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(
    gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    folder: Path = tmp_path_factory.mktemp("authority")
    authority = Authority(folder)
    lines = authority.lines(authority.issue("server"))
    upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
    async with (
        aiohttp.ClientSession() as session,
        running_nginx(folder / "n", upstream=upstream, blobs=blobs, tls=lines) as nginx,
        running_nginx(folder / "e", upstream=upstream, blobs=blobs, tls=lines, edge=True) as edge,
    ):
        ports = {"direct": gateway.port, "nginx": nginx.port, "edge": edge.port}
        yield Front(gateway, authority, ports, await sign_in(session, gateway.url))


@pytest_asyncio.fixture(loop_scope="module")
async def thing(front: Front) -> Thing:
    """One with a file that has its key in it."""
    made = await front.admin.thing()
    files = f"{front.gateway.url}/files"
    await upload(front.admin.session, files, made.headers, "fw.bin", made.key.encode())
    return made


async def stranger(front: Front, session: aiohttp.ClientSession) -> User:
    """A user who is no administrator."""
    email = f"{id(session)}@other.test"
    said = {"email": email, "password": "correct-horse"}
    assert (await front.ask(front.admin, "POST", "/users", said))[0] == 201
    return await sign_in(session, front.gateway.url, email, "correct-horse")


@pytest.mark.parametrize("way", ["direct", "nginx", "edge"])
async def test_a_key_beside_which_a_certificate_is_needed(
    front: Front, thing: Thing, way: str
) -> None:
    own, other = front.authority.issue(f"own-{way}"), front.authority.issue(f"other-{way}")
    path, key = "/files/fw.bin", thing.headers
    if way != "edge":  # which may use its decision for two seconds
        assert (await front.get(way, path, None, key))[0] == 200
    certificates = f"/things/{thing.id}/certificates"
    status, bound = await front.ask(front.admin, "POST", certificates, {"sha256": own.sha256})
    assert (status, bound["use"], bound["confirmed"]) == (201, "key", True)
    for _ in range(2):  # the second time from what was kept of the first
        assert await front.get(way, path, own, key) == (200, thing.key.encode())
        assert (await front.get(way, path, None, key))[0] == 403
        assert (await front.get(way, path, other, key))[0] == 403
        assert (await front.get(way, path, own, {}))[0] == 403
    shown = await front.ask(front.admin, "GET", certificates)
    assert shown == (200, {"certificates": [bound]})
    await front.ask(front.admin, "DELETE", f"{certificates}/{bound['id']}")
    assert (await front.get("direct", path, None, key))[0] == 200


@pytest.mark.parametrize("way", ["direct", "nginx", "edge"])
async def test_a_certificate_is_enough_alone_until_it_is_unbound(
    front: Front, thing: Thing, way: str
) -> None:
    own, other = front.authority.issue(f"alone-{way}"), front.authority.issue(f"none-{way}")
    path, certificates = "/files/fw.bin", f"/things/{thing.id}/certificates"
    assert (await front.get(way, path, own, {}))[0] == 403
    said = {"certificate": own.pem, "use": "alone"}
    status, bound = await front.ask(front.admin, "POST", certificates, said)
    assert (status, bound["confirmed"]) == (201, True)
    assert await front.get(way, path, own, {}) == (200, thing.key.encode())
    assert (await front.get(way, path, other, {}))[0] == 403
    assert (await front.get(way, path, None, {}))[0] == 401
    assert (await front.ask(front.admin, "POST", certificates, said))[0] == 409
    assert (await front.ask(front.admin, "DELETE", f"{certificates}/{bound['id']}"))[0] == 204
    if way != "edge":  # which may use its decision for two seconds
        assert (await front.get(way, path, own, {}))[0] == 403


async def test_what_another_tenant_claims_gives_them_nothing(front: Front, thing: Thing) -> None:
    """
    A certificate is no secret: who binds another's, to be enough alone, waits until the thing shows it
    together with the key, which only its holder can.
    """
    own = front.authority.issue("claimed")
    async with aiohttp.ClientSession() as session:
        other = await stranger(front, session)
        theirs = await other.thing()
        said = {"sha256": own.sha256, "use": "alone"}
        claimed = f"/things/{theirs.id}/certificates"
        status, bound = await front.ask(other, "POST", claimed, said)
        assert (status, bound["confirmed"]) == (201, False)
        assert (await front.get("nginx", "/files", own, {}))[0] == 403
        subject = {"subject": "CN=claimed", "use": "alone"}
        assert (await front.ask(other, "POST", claimed, subject))[0] == 403
        mine = f"/things/{thing.id}/certificates"
        for method, path in (("POST", mine), ("GET", mine), ("DELETE", f"{mine}/{bound['id']}")):
            assert (await front.ask(other, method, path, said))[0] == 404
        assert (await front.get("nginx", "/files", own, theirs.headers))[0] == 200  # shown with it
        assert (await front.get("nginx", "/files", own, {}))[0] == 200
        assert (await front.ask(other, "GET", claimed))[1]["certificates"] == [
            {**bound, "confirmed": True}
        ]


async def test_a_subject_is_bound_by_administrators(front: Front, thing: Thing) -> None:
    said = {"subject": "CN=device-17", "use": "alone"}
    certificates = f"/things/{thing.id}/certificates"
    assert (await front.ask(front.admin, "POST", certificates, said))[0] == 201
    first, second = front.authority.issue("device-17"), front.authority.issue("device-18")
    assert (await front.get("nginx", "/files/fw.bin", first, {}))[0] == 200
    renewed = front.authority.issue("device-17")
    assert (await front.get("nginx", "/files/fw.bin", renewed, {}))[0] == 200
    assert (await front.get("nginx", "/files/fw.bin", second, {}))[0] == 403


def of_standard(shown: Issued, verified: str) -> dict[str, str]:
    der = shown.certificate.public_bytes(Encoding.DER)
    field = f":{base64.b64encode(der).decode()}:"
    return {"X-SSL-Client-Verify": verified, "Client-Cert": field}


async def test_only_what_a_trusted_peer_has_verified_is_believed(
    front: Front, thing: Thing
) -> None:
    own = front.authority.issue("believed")
    said = {"certificate": own.pem, "use": "alone"}
    await front.ask(front.admin, "POST", f"/things/{thing.id}/certificates", said)
    path = "/files/fw.bin"
    for headers, expected in (
        (own.headers, 200),
        (of_standard(own, "SUCCESS"), 200),
        (of_standard(own, "FAILED:self-signed certificate"), 401),
        (of_standard(own, "NONE"), 401),
        ({"Client-Cert": of_standard(own, "")["Client-Cert"]}, 401),
        ({"X-SSL-Client-Verify": "SUCCESS"}, 401),
        ({"X-SSL-Client-Verify": "SUCCESS", "X-SSL-Client-Cert": "nonsense"}, 400),
        ({"X-SSL-Client-Verify": "SUCCESS", "Client-Cert": ":AAAA:"}, 400),
    ):
        assert (await front.get("direct", path, None, headers))[0] == expected, headers
    for way in ("nginx", "edge"):  # whose client wrote them
        assert (await front.get(way, path, None, own.headers))[0] == 401
        assert (await front.get(way, path, None, of_standard(own, "SUCCESS")))[0] == 401


async def test_nginx_limits_who_guesses(front: Front) -> None:
    """
    And nobody who only reads.
    """

    async def statuses(method: str) -> list[int]:
        url, context = f"https://{HOST}:{front.ports['nginx']}/users", front.authority.client(None)
        found = []
        async with aiohttp.ClientSession() as session:
            for _ in range(70):
                async with session.request(method, url, ssl=context, json={}) as answer:
                    found.append(answer.status)
        return found

    assert set(await statuses("GET")) == {401}
    guessed = await statuses("POST")
    assert 429 not in guessed[:50]
    assert 429 in guessed


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sha256": "0" * 63},
        {"sha256": "0" * 64, "subject": "CN=a"},
        {"certificate": "nonsense"},
        {"subject": "no subject"},
        {"sha256": "0" * 64, "use": "both"},
    ],
    ids=["nothing", "short", "two names", "no certificate", "no subject", "no use"],
)
async def test_what_names_no_certificate_is_refused(
    front: Front, thing: Thing, said: dict[str, str]
) -> None:
    path = f"/things/{thing.id}/certificates"
    assert (await front.ask(front.admin, "POST", path, said))[0] == 400
