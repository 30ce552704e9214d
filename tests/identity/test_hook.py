from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from gateway.identity.decisions import RememberingHook, open_hook
from gateway.identity.hook import open_http_hook, read_max_age, read_message
from gateway.identity.port import AuthHook, Sealed
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.digest import Digest
from gateway.model.errors import Denied, HookUnavailable
from gateway.model.file import Blob, Scope
from tests.tools.hook import ALLOW, HookServer, Misbehave, Say, deny, running_hook
from tests.tools.ports import free_port

SCOPE = Scope("groups", "5316d843")
USER = Principal(PrincipalKind.USER, "d782b42b", "admin", ("admin", "user"), "test@email.com")
CREATE = Access(USER, Action.CREATE, "mainflux", SCOPE, "fw 1+2/&?ä.bin", "Bearer abc")
READ = replace(CREATE, action=Action.READ)
SEALED = Sealed(Blob(uuid4(), SCOPE, 4096, Digest("ab" * 32)), "application/octet-stream")


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    async with running_hook() as running:
        yield running


@pytest.fixture
async def hook(server: HookServer) -> AsyncIterator[AuthHook]:
    async with open_hook(server.url, timeout_seconds=5, cache_seconds=0) as opened:
        yield opened


@pytest.fixture
async def hasty(server: HookServer) -> AsyncIterator[AuthHook]:
    """A hook client that soon gives up."""
    async with open_hook(server.url, timeout_seconds=0.5, cache_seconds=0) as opened:
        yield opened


@pytest.fixture
async def remembering(server: HookServer) -> AsyncIterator[AuthHook]:
    async with open_hook(server.url, timeout_seconds=5, cache_seconds=3600) as opened:
        yield opened


async def test_without_a_hook_everything_is_agreed_to() -> None:
    async with open_hook(None) as none:
        await none.authorise(CREATE)
        await none.approve(CREATE, SEALED)


async def test_the_first_question_names_who_wants_what_where(
    server: HookServer, hook: AuthHook
) -> None:
    await hook.authorise(CREATE)
    [asked] = server.requests
    assert ("GET", "/hook") == (asked.method, asked.path)
    assert {"file_id": "fw 1+2/&?ä.bin", "file_op": "create"} == asked.query
    assert {
        "x-hasura-user-id": "d782b42b",
        "x-hasura-user-role": "admin",
        "x-hasura-allowed-roles": "admin,user",
        "authorization": "Bearer abc",
        "x-filestore-dialect": "mainflux",
        "x-filestore-scope": "groups/5316d843",
        "x-filestore-phase": "authorise",
    } == {n: v for n, v in asked.headers.items() if n.startswith(("x-", "auth"))}


async def test_the_second_question_adds_what_the_bytes_are(
    server: HookServer, hook: AuthHook
) -> None:
    await hook.authorise(CREATE)
    await hook.approve(CREATE, SEALED)
    first, second = server.requests
    found = {
        "x-filestore-phase": "commit",
        "x-filestore-size": "4096",
        "x-filestore-sha256": "ab" * 32,
        "x-filestore-content-type": "application/octet-stream",
    }
    assert (first.query, {**first.headers, **found}) == (second.query, second.headers)


async def test_a_query_in_the_hooks_own_url_is_kept(server: HookServer) -> None:
    async with open_hook(f"{server.url}?tenant=7&file_op=delete") as opened:
        await opened.authorise(CREATE)
    assert {"tenant": "7", "file_op": "create", "file_id": CREATE.name} == server.requests[0].query


async def test_who_has_one_role_is_allowed_that_one(server: HookServer, hook: AuthHook) -> None:
    thing = Principal(PrincipalKind.THING, "t1", "thing")
    await hook.authorise(replace(CREATE, principal=thing, authorization=None))
    assert "thing" == server.requests[0].headers["x-hasura-allowed-roles"]
    assert "authorization" not in server.requests[0].headers


DENIALS: list[tuple[str, Say, str]] = [
    ("text", deny("not on Sundays"), "not on Sundays"),
    ("text with space around", deny("  not on Sundays\r\n"), "not on Sundays"),
    ("nothing", deny(), "access denied"),
    ("no type", Say(403, b"not on Sundays"), "access denied"),
    ("message", Say(403, b'{"message": "no"}', {"Content-Type": "application/json"}), "no"),
    ("error", Say(403, b'{"error": "no"}', {"Content-Type": "application/problem+json"}), "no"),
    ("empty cup", Say(403, b"{}", {"Content-Type": "application/json"}), "access denied"),
    ("broken JSON", Say(403, b'{"error": ', {"Content-Type": "application/json"}), "access denied"),
    ("deep JSON", Say(403, b"[" * 4000, {"Content-Type": "application/json"}), "access denied"),
    ("number", Say(403, b'{"error": 7}', {"Content-Type": "application/json"}), "access denied"),
    ("HTML", Say(403, b"<h1>no</h1>", {"Content-Type": "text/html"}), "access denied"),
    ("text called HTML", Say(403, b"no", {"Content-Type": "text/html; charset=utf-8"}), "no"),
    ("256 characters", deny("x" * 256), "x" * 256),
    ("257 characters", deny("x" * 257), "access denied"),
    ("two lines", deny("one\ntwo"), "access denied"),
    ("an escape sequence", deny("\x1b[2Jgone"), "access denied"),
    ("bytes that are no text", Say(403, b"\xff\xfe", {"Content-Type": "text/plain"}), "access denied"),
    ("compressed", Say(403, gzip.compress(b"no"), {"Content-Type": "text/plain", "Content-Encoding": "gzip"}), "access denied"),
    ("a novel", deny("x" * 100_000), "access denied"),
]  # fmt: skip


@pytest.mark.parametrize(("say", "message"), [d[1:] for d in DENIALS], ids=[d[0] for d in DENIALS])
async def test_a_denial_speaks_in_the_hooks_words_if_they_are_fit(
    server: HookServer, hook: AuthHook, say: Say, message: str
) -> None:
    server.always(say)
    with pytest.raises(Denied) as denied:
        await hook.authorise(CREATE)
    assert message == str(denied.value)


LIES = [100, 201, 202, 204, 206, 301, 302, 307, 304, 400, 401, 404, 407, 429, 500, 503]


@pytest.mark.parametrize("phase", ["authorise", "commit"])
@pytest.mark.parametrize("status", LIES)
async def test_any_other_status_is_no_permission(
    server: HookServer, hasty: AuthHook, status: int, phase: str
) -> None:
    server.at(phase, Say(status, headers={"Location": f"{server.url}/elsewhere"}))
    with pytest.raises(HookUnavailable, match="unexpected status from filestore hook"):
        await _both(hasty)
    assert "/hook" == server.requests[-1].path


@pytest.mark.parametrize("phase", ["authorise", "commit"])
@pytest.mark.parametrize("how", [pytest.param(how, id=how.name.lower()) for how in Misbehave])
async def test_misbehaviour_is_no_permission(
    server: HookServer, hasty: AuthHook, how: Misbehave, phase: str
) -> None:
    """
    And the next question is answered as ever. (An endless 403 is still a 403.)
    """
    server.at(phase, how)
    expected = Denied if how is Misbehave.ENDLESS_BODY else HookUnavailable
    with pytest.raises(expected):
        await _both(hasty)
    server.always(ALLOW)
    await _both(hasty)


async def test_a_hook_that_is_not_there_is_no_permission() -> None:
    async with open_hook(f"http://127.0.0.1:{free_port()}/hook") as nowhere:
        with pytest.raises(HookUnavailable) as failed:
            await nowhere.authorise(CREATE)
    assert "127.0.0.1" not in str(failed.value)


@pytest.mark.parametrize("value", ["Bearer a\r\nX-Hasura-User-Role: admin", "Bearer \udcff"])
async def test_a_header_that_cannot_be_sent_is_no_permission(
    server: HookServer, hook: AuthHook, value: str
) -> None:
    with pytest.raises(HookUnavailable):
        await hook.authorise(replace(CREATE, authorization=value))
    assert [] == server.requests


async def test_no_proxy_of_the_environment_sees_the_question(
    server: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with open_hook(server.url) as opened:
        await opened.authorise(CREATE)
    assert 1 == len(server.requests)


async def test_a_cookie_of_the_hook_is_not_sent_back(server: HookServer, hook: AuthHook) -> None:
    server.always(Say(headers={"Set-Cookie": "a=b; Path=/"}))
    await _both(hook)
    assert ["cookie" not in asked.headers for asked in server.requests] == [True, True]


async def test_many_ask_at_once(server: HookServer, hook: AuthHook) -> None:
    await asyncio.gather(*(hook.authorise(CREATE) for _ in range(200)))
    assert 200 == len(server.requests)


@pytest.mark.parametrize("say", [ALLOW, deny("no")], ids=["allowed", "denied"])
async def test_a_decision_about_reading_is_remembered(
    server: HookServer, remembering: AuthHook, say: Say
) -> None:
    server.always(say)
    outcomes = [await _outcome(remembering, READ) for _ in range(3)]
    assert 1 == len(set(outcomes))
    assert 1 == len(server.requests)


@pytest.mark.parametrize("action", [Action.CREATE, Action.DELETE])
async def test_a_decision_about_changing_is_asked_for_every_time(
    server: HookServer, remembering: AuthHook, action: Action
) -> None:
    for _ in range(3):
        await remembering.authorise(replace(CREATE, action=action))
        await remembering.approve(replace(CREATE, action=action), SEALED)
    assert 6 == len(server.requests)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(READ, name="other.bin"), id="another file"),
        pytest.param(replace(READ, scope=Scope("things", "5316d843")), id="another scope"),
        pytest.param(replace(READ, dialect="hasura"), id="another dialect"),
        pytest.param(replace(READ, authorization="Bearer abd"), id="another token"),
        pytest.param(replace(READ, authorization=None), id="no token"),
        pytest.param(replace(READ, principal=replace(USER, id="other")), id="another user"),
        pytest.param(replace(READ, principal=replace(USER, role="user")), id="another role"),
        pytest.param(
            replace(READ, principal=replace(USER, allowed_roles=("admin",))), id="fewer roles"
        ),
    ],
)
async def test_a_decision_is_nobody_elses(
    server: HookServer, remembering: AuthHook, other: Access
) -> None:
    await remembering.authorise(READ)
    server.always(deny("not you"))
    with pytest.raises(Denied):
        await remembering.authorise(other)


@pytest.mark.parametrize("say", [Say(500), Misbehave.DROP], ids=["500", "reset"])
async def test_a_failure_is_not_remembered(
    server: HookServer, remembering: AuthHook, say: Say | Misbehave
) -> None:
    server.always(say)
    with pytest.raises(HookUnavailable):
        await remembering.authorise(READ)
    server.always(ALLOW)
    await remembering.authorise(READ)


async def test_the_hooks_own_word_on_caching_wins(
    server: HookServer, hook: AuthHook, remembering: AuthHook
) -> None:
    server.always(Say(headers={"Cache-Control": "no-store"}))
    for _ in range(2):
        await remembering.authorise(READ)
    assert 2 == len(server.requests)
    server.always(Say(headers={"Cache-Control": "private, max-age=3600"}))
    for _ in range(2):
        await hook.authorise(READ)
    assert 3 == len(server.requests)


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def remembering_by(
    clock: HandClock, server: HookServer, *, entries: int = 8
) -> AsyncIterator[AuthHook]:
    """Decisions are remembered for two seconds of the clock, unless the hook says otherwise."""
    async with open_http_hook(server.url, timeout_seconds=5, connections=4) as asked:
        yield RememberingHook(asked, 2.0, entries=entries, clock=clock)


@pytest.mark.parametrize(
    ("holds", "later", "lasting"),
    [
        pytest.param(2.0, 0.0, 0.0, id="at once"),
        pytest.param(0.5, 1.5, 0.0, id="near its end"),
        pytest.param(0.5, 1.5, 0.25, id="for as long as is needed"),
        pytest.param(None, 1.5, 0.5, id="not for longer than is needed"),
        pytest.param(None, 2.0, 0.0, id="at its end"),
    ],
)
async def test_a_remembered_decision_ends(
    server: HookServer, holds: float | None, later: float, lasting: float
) -> None:
    clock = HandClock()
    async with remembering_by(clock, server) as hook:
        assert 2.0 == await hook.authorise(READ)
        clock.now += later
        assert (holds or 2.0) == await hook.authorise(READ, lasting=lasting)
    assert (2 if holds is None else 1) == len(server.requests)


async def test_the_hooks_own_max_age_counts_in_its_place(server: HookServer) -> None:
    server.always(Say(headers={"Cache-Control": "max-age=10"}))
    clock = HandClock()
    async with remembering_by(clock, server) as hook:
        assert 10.0 == await hook.authorise(READ)
        clock.now += 9.0
        assert 1.0 == await hook.authorise(READ)


async def test_a_decision_that_may_not_be_kept_takes_the_place_of_one_that_was(
    server: HookServer,
) -> None:
    async with remembering_by(HandClock(), server) as hook:
        await hook.authorise(READ)
        server.always(Say(headers={"Cache-Control": "no-store"}))
        assert 0.0 == await hook.authorise(READ, lasting=2.0)
        server.always(deny("not any more"))
        with pytest.raises(Denied):
            await hook.authorise(READ)


async def test_a_decision_is_as_old_as_the_question(server: HookServer) -> None:
    """The hook may have decided at once and been slow to say so."""
    clock = HandClock()

    def slowly(_: object) -> Say:
        clock.now += 1.5
        return ALLOW

    server.decide = slowly
    async with remembering_by(clock, server) as hook:
        assert 0.5 == await hook.authorise(READ)


async def test_the_least_used_decision_is_forgotten_first(server: HookServer) -> None:
    one, two, three = (replace(READ, name=name) for name in ("one", "two", "three"))
    async with remembering_by(HandClock(), server, entries=2) as hook:
        for access in (one, two, one, three, one, three):
            await hook.authorise(access)
        assert 3 == len(server.requests)
        await hook.authorise(two)
    assert 4 == len(server.requests)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("private", None),
        ("max-age=60", 60.0),
        ('private,MAX-AGE="60"', 60.0),
        ("s-maxage=60", None),
        ("x-max-age=60", None),
        ("max-age=-1", None),
        ("max-age=60, no-store", 0.0),
        ("no-cache", 0.0),
        ("max-age=0", 0.0),
        ("max-age=99999999999", None),
    ],
)
def test_cache_control_is_read_for_what_it_says(header: str, expected: float | None) -> None:
    assert expected == read_max_age(header)


def test_a_message_hidden_in_unicode_is_not_shown() -> None:
    assert read_message("\u202enope".encode(), "text/plain") is None
    assert read_message(b'{"message": "\\ud800"}', "application/json") is None


async def _both(hook: AuthHook) -> None:
    await hook.authorise(CREATE)
    await hook.approve(CREATE, SEALED)


async def _outcome(hook: AuthHook, access: Access) -> str:
    try:
        await hook.authorise(access)
    except Denied as exc:
        return str(exc)
    return ""
