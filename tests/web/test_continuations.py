"""A file is replaced, and a download of the old bytes goes on by a bare offset: who is refused.

And above all who is not. The clients are Debian 12's curl 7.88 and wget 1.21, or raw sockets.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.tools.clients import Ran, run
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, upload
from tests.tools.nginx import Nginx
from tests.tools.place import Place
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD = Firmware(50, 300_000)  # a kernel takes it from us at once
BIG = Firmware(51, 6_000_000)  # no kernel does
HELD = 102_400
PIECE = 4096
NEW = {
    "as large": Firmware(52, OLD.size),
    "larger": Firmware(53, OLD.size + 100_000),
    "smaller than what is held": Firmware(54, HELD // 2),
    "exactly as large as what is held": Firmware(55, HELD),
}
OTHER = Firmware(56, BIG.size)
_TRIES = 5
_numbers = itertools.count()
LINES = {
    "curl -C -": ("curl -sS -C - -o got -H {header} {url}", 33),
    "curl -f -C -": ("curl -fsS -C - -o got -H {header} {url}", 22),
    "wget -c": ("wget -q -c -t 1 -O got --header {header} {url}", 8),
}


async def ran_by(line: str, place: Place, folder: Path, *, stopped: bool = False) -> Ran:
    """The line; if ``stopped``, the client dies when its file has ``HELD`` bytes."""
    line = line.format(header=shlex.quote(place.header), url=place.url)
    limit = f"ulimit -f {HELD // 512}; " if stopped else ""
    return await run("sh", "-c", f"{limit}exec {line}", cwd=folder)


async def cut_and_replaced(line: str, place: Place, folder: Path, new: Firmware) -> Path:
    """What the client holds of the old file."""
    await place.publish(OLD)
    assert (await ran_by(line, place, folder, stopped=True)).status != 0
    assert (folder / "got").read_bytes() == OLD.read(0, HELD)
    await place.replace(new)
    return folder / "got"


@pytest.fixture
def direct(gateway: GatewayProcess, http: aiohttp.ClientSession, thing: Thing) -> Place:
    """A name that no other test uses, reached without nginx."""
    return Place(gateway, http, thing, gateway.port, f"own-{next(_numbers)}.bin")


@pytest.mark.parametrize(("line", "refused"), LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
async def test_a_client_that_was_cut_is_refused_until_it_begins_anew(
    direct: Place, tmp_path: Path, line: str, refused: int, new: Firmware
) -> None:
    got = await cut_and_replaced(line, direct, tmp_path, new)
    for _ in range(2):
        assert (await ran_by(line, direct, tmp_path)).status == refused
        assert got.read_bytes() == OLD.read(0, HELD)
    got.unlink()
    assert (await ran_by(line, direct, tmp_path)).status == 0
    assert got.read_bytes() == new.content


@pytest.mark.parametrize(("line", "_"), LINES.values(), ids=LINES.keys())
async def test_a_client_that_began_anew_and_was_cut_again_resumes(
    direct: Place, tmp_path: Path, line: str, _: int
) -> None:
    got = await cut_and_replaced(line, direct, tmp_path, NEW["larger"])
    got.unlink()
    assert (await ran_by(line, direct, tmp_path, stopped=True)).status != 0
    assert (await ran_by(line, direct, tmp_path)).status == 0
    assert got.read_bytes() == NEW["larger"].content


@pytest.mark.parametrize("way", ["nginx", "edge"], indirect=True)
@pytest.mark.parametrize("line", ["curl -C -", "wget -c"])
async def test_behind_nginx_a_bare_line_mixes_versions(
    place: Place, tmp_path: Path, line: str
) -> None:
    """Nobody tells us how far nginx came. When this fails, so does the warning in docs/resuming.md."""
    words, new = LINES[line][0], NEW["as large"]
    got = await cut_and_replaced(words, place, tmp_path, new)
    assert (await ran_by(words, place, tmp_path)).status == 0
    held = got.read_bytes()
    finished = held == OLD.content  # an nginx in edge mode may be quick enough
    assert finished or held == OLD.read(0, HELD) + new.read(HELD, new.size)


def ranged(text: str) -> tuple[str, str]:
    return "Range", f"bytes={text}"


async def asked(
    place: Place, *headers: tuple[str, str], method: str = "GET", at: str = ""
) -> Answer:
    async with raw_connection(place.port) as connection:
        return await connection.ask(method, at or place.path, [place.credential, *headers])


# What somebody does with the old file.


async def cut(place: Place, *headers: tuple[str, str]) -> None:
    """A download of which little arrives before the connection breaks."""
    async with raw_connection(place.port, receive_buffer=4096) as connection:
        await connection.send_head("GET", place.path, [place.credential, *headers])
        assert (await connection.read_head()).status in (200, 206)
        await connection.read_some(1)  # something was handed out
        connection.reset()


async def cut_from_zero(place: Place) -> None:
    await cut(place, ranged("0-"))


async def cut_twice(place: Place) -> None:
    await cut(place)
    await cut(place, ranged("100000-"))


async def pieces(place: Place) -> None:
    for start in (0, PIECE, 2 * PIECE):
        assert (await asked(place, ranged(f"{start}-{start + PIECE - 1}"))).status == 206


async def pieces_and_elsewhere(place: Place) -> None:
    await pieces(place)
    assert (await asked(place, ranged("200000-200099"))).status == 206


async def whole(place: Place) -> None:
    assert (await asked(place)).status == 200


async def whole_and_closed_by_us(place: Place) -> None:
    assert (await asked(place, ("Connection", "close"))).status == 200


async def cut_and_finished(place: Place) -> None:
    await cut(place)
    assert (await asked(place, ranged("1000-"))).status == 206


async def pieces_to_the_end(place: Place) -> None:
    for start in range(0, OLD.size, 100_000):
        assert (await asked(place, ranged(f"{start}-{start + 99_999}"))).status == 206


async def only_the_middle(place: Place) -> None:
    assert (await asked(place, ranged("4096-8191"))).status == 206


async def cut_in_the_middle(place: Place) -> None:
    await cut(place, ranged("4096-"))


async def head(place: Place) -> None:
    assert (await asked(place, method="HEAD")).status == 200


Deed = Callable[[Place], Awaitable[None]]
NEXT, AGAIN = f"{3 * PIECE}-{4 * PIECE - 1}", f"{2 * PIECE}-{3 * PIECE - 1}"
CONTINUED: list[tuple[str, Deed, str]] = [
    ("a cut download", cut, "1000-"),
    ("from its second byte", cut, "1-"),
    ("at its last byte", cut, "299999-"),
    ("as if all had come", cut, "300000-"),
    ("a cut range from zero", cut_from_zero, "1000-"),
    ("a download cut twice", cut_twice, "200000-"),
    ("the same piece that was cut", cut_twice, "100000-199999"),
    ("pieces", pieces, NEXT),
    ("the last piece again", pieces, AGAIN),
    ("pieces, then the rest", pieces, f"{3 * PIECE}-"),
    ("pieces, from within", pieces, f"{PIECE + 5}-"),
    ("pieces, with a look elsewhere between", pieces_and_elsewhere, NEXT),
]
INNOCENT: list[tuple[str, Deed, str]] = [
    ("nothing was read before", head, "1000-"),
    ("a whole download", whole, "1000-"),
    ("a whole download, as wget checks it", whole, "299999-"),
    ("a whole download at whose end we closed", whole_and_closed_by_us, "1000-"),
    ("a cut download that was finished", cut_and_finished, "1000-"),
    ("pieces up to the end", pieces_to_the_end, "1000-"),
    ("pieces up to the end, the last again", pieces_to_the_end, "200000-299999"),
    ("only the middle", only_the_middle, "8192-12287"),
    ("only the middle, cut", cut_in_the_middle, "5000-"),
    ("a suffix", cut, "-500"),
    ("a suffix after pieces", pieces, "-500"),
    ("a closed range of a cut download", cut, "1000-1999"),
    ("pieces, and a gap", pieces, f"{3 * PIECE + 1}-{4 * PIECE}"),
    ("pieces, and an overlap", pieces, f"{3 * PIECE - 1}-{4 * PIECE}"),
    ("pieces, one before the last", pieces, f"{PIECE}-{2 * PIECE - 1}"),
    ("pieces, and the rest behind a gap", pieces, f"{3 * PIECE + 1}-"),
    ("from zero", cut, "0-"),
    ("the first piece", pieces, f"0-{PIECE - 1}"),
]


@pytest.mark.parametrize(("_", "deed", "text"), CONTINUED, ids=[case[0] for case in CONTINUED])
async def test_what_continues_other_bytes_is_refused(
    direct: Place, _: str, deed: Deed, text: str
) -> None:
    """Who leaves before all is handed out holds less, and the end continues nothing: that is tried again."""
    await direct.publish(OLD)
    for _try in range(_TRIES):
        await deed(direct)
        await direct.replace(NEW["larger"])
        if (await asked(direct, ranged(text))).status == 412:
            break
        await direct.replace(OLD)
    assert (await asked(direct, ranged(text))).status == 412


@pytest.mark.parametrize(("_", "deed", "text"), CONTINUED, ids=[case[0] for case in CONTINUED])
async def test_what_continues_the_same_bytes_is_served(
    direct: Place, _: str, deed: Deed, text: str
) -> None:
    """Also those of a file that was replaced by itself."""
    await direct.publish(OLD)
    await deed(direct)
    await direct.replace(OLD)
    status = 416 if text.startswith(f"{OLD.size}") else 206
    assert (await asked(direct, ranged(text))).status == status


@pytest.mark.parametrize(("_", "deed", "text"), INNOCENT, ids=[case[0] for case in INNOCENT])
async def test_what_continues_nothing_is_served(
    direct: Place, _: str, deed: Deed, text: str
) -> None:
    await direct.publish(OLD)
    await deed(direct)
    await direct.replace(NEW["larger"])
    assert (await asked(direct, ranged(text))).status == 206


@pytest.mark.parametrize(("text", "status"), [("1000-", 412), ("5999999-", 206)])
async def test_what_was_not_even_sent_is_not_continued(
    direct: Place, text: str, status: int
) -> None:
    """What left is known in slices of a few megabytes."""
    await direct.publish(BIG)
    await cut(direct)
    await direct.replace(OTHER)
    assert (await asked(direct, ranged(text))).status == status


async def test_a_download_under_way_counts_before_its_break_is_noticed(direct: Place) -> None:
    """A link that dies silently: the device is back on another one."""
    await direct.publish(BIG)
    async with raw_connection(direct.port, receive_buffer=4096) as connection:
        await connection.send_head("GET", direct.path, [direct.credential])
        await connection.read_head()
        await direct.replace(OTHER)
        assert (await asked(direct, ranged("1000-"))).status == 412


async def test_who_leaves_while_bytes_are_on_their_way_has_not_got_them(direct: Place) -> None:
    """All is with the kernel, nothing breaks: it is never acknowledged."""
    await direct.publish(OLD)
    async with raw_connection(direct.port, receive_buffer=4096) as connection:
        await connection.send_head("GET", direct.path, [direct.credential])
        await connection.read_head()
        connection.half_close()
        await direct.replace(NEW["larger"])
        assert (await asked(direct, ranged("1000-"))).status == 412


async def test_who_asks_more_on_the_same_connection_has_got_what_came_before(
    direct: Place,
) -> None:
    """However soon it asks: it may have the last byte before whoever sent it goes on."""
    await direct.publish(OLD)
    for _soon in range(10):
        async with raw_connection(direct.port) as connection:
            assert (await connection.ask("GET", direct.path, [direct.credential])).status == 200
            assert (await connection.ask("HEAD", direct.path, [direct.credential])).status == 200
            connection.reset()
        await direct.replace(NEW["larger"])
        assert (await asked(direct, ranged("1000-"))).status == 206
        await direct.replace(OLD)


@pytest.mark.parametrize("ranges", [(), (ranged("0-"),), (ranged("0-0"),)], ids=str)
async def test_who_begins_anew_is_served_from_then_on(
    direct: Place, ranges: tuple[tuple[str, str], ...]
) -> None:
    await direct.publish(OLD)
    await cut(direct)
    await direct.replace(NEW["larger"])
    await cut(direct, *ranges)
    assert (await asked(direct, ranged("1000-"))).status == 206


async def test_a_late_end_of_the_old_download_is_not_held_against_the_new(direct: Place) -> None:
    """The old connection breaks only when the new one is far."""
    await direct.publish(BIG)
    async with raw_connection(direct.port, receive_buffer=4096) as connection:
        await connection.send_head("GET", direct.path, [direct.credential])
        await connection.read_head()
        await direct.replace(OTHER)
        await cut(direct)
        connection.reset()
    assert (await asked(direct, ranged("1000-"))).status == 206


async def test_a_file_that_was_removed_and_made_again_is_another(direct: Place) -> None:
    await direct.publish(OLD)
    await cut(direct)
    await direct.remove()
    await direct.publish(NEW["larger"])
    assert (await asked(direct, ranged("1000-"))).status == 412


async def test_a_file_is_the_same_under_both_of_its_paths(direct: Place) -> None:
    await direct.publish(OLD)
    await cut(direct)
    await direct.replace(NEW["larger"])
    at = direct.path.removeprefix("/filestore")
    assert (await asked(direct, ranged("1000-"), at=at)).status == 412


PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Range", "{new}", 206),
        ("If-Range", "{old}", 200),
        ("If-Match", "{new}", 206),
        ("If-Match", "*", 206),
        ("If-Unmodified-Since", FUTURE, 206),
        ("If-None-Match", "{new}", 304),
        ("If-None-Match", "{old}", 412),
        ("If-Modified-Since", PAST, 412),
    ],
)
async def test_who_says_which_version_is_meant_is_judged_by_that(
    direct: Place, name: str, value: str, status: int
) -> None:
    """If-None-Match and If-Modified-Since say what the client knows, not what it will have."""
    await direct.publish(OLD)
    old = (await asked(direct, method="HEAD")).head.one("ETag")
    await cut(direct)
    await direct.replace(NEW["larger"])
    new = (await asked(direct, method="HEAD")).head.one("ETag")
    condition = (name, value.format(old=old, new=new))
    assert (await asked(direct, ranged("1000-"), condition)).status == status


async def test_an_address_that_names_its_version_is_judged_by_that(direct: Place) -> None:
    await direct.publish(OLD)
    await cut(direct)
    await direct.replace(NEW["larger"])
    at = f"{direct.path}?sha256={NEW['larger'].sha256}"
    assert (await asked(direct, ranged("1000-"), at=at)).status == 206


@pytest.mark.parametrize(
    ("method", "text", "status"),
    [
        ("HEAD", "1000-", 200),
        ("GET", "1000-,2000-", 400),
        ("GET", "1000-999", 400),
        ("GET", "1000-x", 400),
    ],
)
async def test_what_is_no_single_range_is_answered_as_ever(
    direct: Place, method: str, text: str, status: int
) -> None:
    await direct.publish(OLD)
    await cut(direct)
    await cut(direct, ranged("1000-"))
    await direct.replace(NEW["larger"])
    assert (await asked(direct, ranged(text), method=method)).status == status


async def test_another_reader_of_the_file_is_served(
    direct: Place, admin: User, http: aiohttp.ClientSession
) -> None:
    await direct.publish(OLD)
    group = await admin.group("readers", direct.thing.id)
    url = f"{admin.url}/groups/{group}/files"
    await upload(http, url, admin.headers, "shared.bin", OLD.content)
    at = f"/groups/{group}/files/shared.bin"
    async with raw_connection(direct.port, receive_buffer=4096) as connection:
        await connection.send_head("GET", at, [direct.credential])
        await connection.read_head()
        connection.reset()
    await upload(http, f"{url}/shared.bin", admin.headers, "shared.bin", BIG.content, method="PUT")
    assert (await asked(direct, ranged("1000-"), at=at)).status == 412
    async with raw_connection(direct.port) as connection:
        other = [*admin.headers.items(), ranged("1000-")]
        assert (await connection.ask("GET", at, other)).status == 206
    assert (await asked(direct, ranged("1000-"))).status == 206  # the thing's own file


HASURA = (("X-Hasura-User-Id", "7"), ("X-Hasura-Role", "admin"))


async def test_the_hasura_routes_refuse_in_their_words(
    gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    url, path = f"http://{HOST}:{gateway.port}/v1/file/continued", "/v1/file/continued"
    async with http.put(url, data=OLD.content, headers=dict(HASURA)) as answer:
        assert answer.status == 200
    async with raw_connection(gateway.port) as connection:
        first = [*HASURA, ("X-Hasura-Filestore-Range", "bytes=0-999")]
        assert (await connection.ask("GET", path, first)).status == 206
        async with http.put(url, data=NEW["larger"].content, headers=dict(HASURA)) as answer:
            assert answer.status == 200
        then = [*HASURA, ("X-Hasura-Filestore-Range", "bytes=1000-1999")]
        refused = await connection.ask("GET", path, then)
    assert refused.status == 412
    assert b"bad_request" in refused.body


async def in_pieces(connection: RawConnection, place: Place, text: str) -> int:
    return (await connection.ask("GET", place.path, [place.credential, ranged(text)])).status


async def test_nginx_passes_on_that_pieces_do_not_belong_together(
    direct: Place, nginx: Nginx
) -> None:
    direct.port = nginx.port
    await direct.publish(OLD)
    async with raw_connection(direct.port) as connection:
        assert await in_pieces(connection, direct, "0-999") == 206
        assert await in_pieces(connection, direct, "1000-1999") == 206
        await direct.replace(NEW["larger"])
        assert await in_pieces(connection, direct, "2000-2999") == 412
        assert await in_pieces(connection, direct, "2000-") == 412
        assert await in_pieces(connection, direct, "0-999") == 206
        assert await in_pieces(connection, direct, "1000-1999") == 206


async def test_what_nginx_may_have_sent_whole_is_not_remembered(
    direct: Place, nginx: Nginx
) -> None:
    direct.port = nginx.port
    await direct.publish(OLD)
    async with raw_connection(direct.port) as connection:
        assert await in_pieces(connection, direct, "0-999") == 206
        assert await in_pieces(connection, direct, "1000-") == 206
        await direct.replace(NEW["larger"])
        assert await in_pieces(connection, direct, "1000-") == 206


async def test_whom_nginx_may_serve_by_itself_begins_where_it_is_not_seen(
    direct: Place, edge: Nginx
) -> None:
    """The edge's decision forgets what was known of the caller."""
    await direct.publish(OLD)
    direct.port = direct.gateway.port
    await cut(direct)
    await direct.replace(NEW["larger"])
    assert (await asked(direct, ranged("1000-"))).status == 412
    direct.port = edge.port
    assert (await asked(direct)).status == 200
    direct.port = direct.gateway.port
    assert (await asked(direct, ranged("1000-"))).status == 206
