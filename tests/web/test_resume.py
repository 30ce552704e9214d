"""Downloads that are cut, and files that are replaced meanwhile, with clients of other people.

What each client does was measured with Debian 12's: curl 7.88, wget 1.21, aria2 1.36. None of
them sends If-Range by itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.documents import pages
from tests.tools.clients import run
from tests.tools.cutproxy import Cut, running_cutproxy, seeded_cuts
from tests.tools.firmware import Firmware, uefi_image
from tests.tools.place import Place
from tests.tools.rawhttp import raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "docs/resuming.md"
CUTS = 25  # for each of four clients, each way
MOST = 120_000  # bytes that pass before a cut
BIG = Firmware(30, 6_000_000)
OLD = Firmware(31, 300_000)
HELD = 100_000
NEW = {
    "as large": Firmware(32, OLD.size),
    "larger": Firmware(33, OLD.size + 100_000),
    "smaller than what is held": Firmware(34, HELD // 2),
    "exactly as large as what is held": Firmware(35, HELD),
}


def etag(image: Firmware) -> str:
    raw = base64.urlsafe_b64encode(hashlib.sha256(image.content).digest())
    return f'"{raw.rstrip(b"=").decode()}"'


async def curl_again(url: str, header: str, folder: Path) -> None:
    """``curl -C -`` until it is content: curl itself resumes only when it is started again."""
    for _ in range(10 * CUTS):
        ran = await run("curl", "-sS", "-C", "-", "-o", "got", "-H", header, url, cwd=folder)
        if ran.status == 0:
            return
    pytest.fail("curl got nowhere")


async def wget(url: str, header: str, folder: Path) -> None:
    patient = ("-t", "0", "--waitretry=0", "--retry-connrefused")
    ran = await run("wget", "-nv", "-c", *patient, "-O", "got", "--header", header, url, cwd=folder)
    assert ran.status == 0, ran.stderr


async def aria2(url: str, header: str, folder: Path) -> None:
    """Up to four connections at once; it may give up after a cut within headers, as told here."""
    patient = ("--max-tries=0", "--retry-wait=0", "-x4", "-s4", "-k1M", "--file-allocation=none")
    ran = await run(
        "aria2c", "-q", "-c", *patient, "-o", "got", "--header", header, url, cwd=folder
    )
    assert ran.status == 0, ran.stdout


async def own_client(url: str, header: str, folder: Path) -> None:
    """What a careful device does: If-Range with the ETag, and from the beginning upon a 200."""
    address, (name, _, value) = urlsplit(url), header.partition(": ")
    asked = f"{address.path}?{address.query}" if address.query else address.path
    assert address.port is not None
    received, tag, total = bytearray(), "", -1
    while len(received) != total:
        resuming = [("Range", f"bytes={len(received)}-"), ("If-Range", tag)] if received else []
        with contextlib.suppress(EOFError, ConnectionError):
            async with raw_connection(address.port) as connection:
                await connection.send_head("GET", asked, [(name, value), *resuming])
                head = await connection.read_head()
                if head.status == 200:
                    received.clear()
                    tag, total = head.one("ETag"), int(head.one("Content-Length"))
                else:
                    assert head.status == 206
                    assert head.one("Content-Range").startswith(f"bytes {len(received)}-")
                    assert head.one("ETag") == tag
                while len(received) < total and (piece := await connection.read_some()):
                    received += piece
    (folder / "got").write_bytes(received)


Client = Callable[[str, str, Path], Awaitable[None]]
CLIENTS: list[Client] = [curl_again, wget, aria2, own_client]


@pytest.mark.parametrize("client", CLIENTS, ids=["curl", "wget", "aria2", "own"])
async def test_a_download_that_is_cut_again_and_again_ends_with_the_right_bytes(
    place: Place, tmp_path: Path, client: Client
) -> None:
    await place.publish(BIG)
    plan = seeded_cuts(CLIENTS.index(client), CUTS, MOST)
    async with running_cutproxy(place.port, plan) as proxy:
        await client(proxy.url + place.path, place.header, tmp_path)
        assert len(proxy.made) == CUTS
    assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == BIG.sha256


@pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
async def test_a_client_with_if_range_gets_the_new_file_whole(
    place: Place, tmp_path: Path, new: Firmware, way: str
) -> None:
    """An nginx in edge mode may still send the old one for a moment: all of it, then."""
    await place.publish(OLD)

    async def replace(_: Cut) -> None:
        await place.replace(new)

    async with running_cutproxy(place.port, [Cut("response", HELD)], on_cut=replace) as proxy:
        await own_client(proxy.url + place.path, place.header, tmp_path)
    whole = [new.content, OLD.content] if way == "edge" else [new.content]
    assert (tmp_path / "got").read_bytes() in whole


@pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
async def test_a_transfer_under_way_is_finished_with_the_bytes_it_began_with(
    place: Place, new: Firmware
) -> None:
    await place.publish(BIG)
    async with raw_connection(place.port, receive_buffer=4096) as connection:
        name, _, value = place.header.partition(": ")
        await connection.send_head("GET", place.path, [(name, value)])
        head = await connection.read_head()
        await place.replace(new)
        assert await connection.read_body(head) == BIG.content


def if_match(line: str) -> str:
    return (
        f"{line} {'--header' if 'wget' in line or 'aria2c' in line else '-H'} 'If-Match: {{etag}}'"
    )


CURL = "curl -fsS -C - -o got -H {header}"
WGET = "wget -q -c -O got --header {header}"
ARIA2 = "aria2c -q -c -o got --header {header}"
SAFE_LINES = {
    "curl with If-Match": (if_match(CURL) + " {url}", 22),
    "curl of a pinned address": (CURL + " {url}?sha256={sha256}", 22),
    "curl without -f of a pinned address": (CURL.replace("-f", "-") + " {url}?sha256={sha256}", 33),
    "wget with If-Match": (if_match(WGET) + " {url}", 8),
    "wget of a pinned address": (WGET + " {url}?sha256={sha256}", 8),
}


def filled(line: str, place: Place) -> list[str]:
    """The words of a command line for a client that began with the old file."""
    values = {
        "header": shlex.quote(place.header),
        "etag": etag(OLD),
        "sha256": OLD.sha256,
        "url": place.url,
    }
    return shlex.split(line.format(**values))


@pytest.mark.parametrize(("line", "refused"), SAFE_LINES.values(), ids=SAFE_LINES.keys())
@pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
async def test_a_safe_line_fails_and_keeps_what_it_has_when_the_file_was_replaced(
    place: Place, tmp_path: Path, line: str, refused: int, new: Firmware
) -> None:
    got = tmp_path / "got"
    got.write_bytes(OLD.read(0, HELD))
    await place.publish(OLD)
    await place.replace(new)
    ran = await run(*filled(line, place), cwd=tmp_path)
    assert (ran.status, got.read_bytes()) == (refused, OLD.read(0, HELD))


@pytest.mark.parametrize(("line", "refused"), SAFE_LINES.values(), ids=SAFE_LINES.keys())
async def test_a_safe_line_resumes_when_the_file_is_the_same(
    place: Place, tmp_path: Path, line: str, refused: int
) -> None:
    got = tmp_path / "got"
    got.write_bytes(OLD.read(0, HELD))
    await place.publish(OLD)
    assert (await run(*filled(line, place), cwd=tmp_path)).status == 0
    assert got.read_bytes() == OLD.content


async def interrupted_aria2(place: Place, folder: Path) -> None:
    """A part of the old file, and the control file that aria2 leaves with it."""
    once = ("--max-tries=1", "--file-allocation=none", "-x1", "-s1")
    async with running_cutproxy(place.port, [Cut("response", 3_000_000, "fin")]) as proxy:
        url = proxy.url + place.path
        await run(
            *shlex.split(ARIA2.format(header=shlex.quote(place.header))), *once, url, cwd=folder
        )
    assert (folder / "got.aria2").exists()


@pytest.mark.parametrize(
    ("new", "refused"),
    [
        pytest.param(
            Firmware(36, BIG.size), 32, id="as large: the digest that it asked for differs"
        ),
        pytest.param(Firmware(37, BIG.size + 1), 1, id="larger: it compares sizes"),
        pytest.param(Firmware(38, 1000), 1, id="smaller: it compares sizes"),
    ],
)
async def test_aria2_notices_a_replaced_file_by_itself(
    place: Place, tmp_path: Path, new: Firmware, refused: int
) -> None:
    """It sends Want-Digest and checks the Digest that it gets; the exit status tells."""
    await place.publish(BIG)
    await interrupted_aria2(place, tmp_path)
    await place.replace(new)
    line = shlex.split(ARIA2.format(header=shlex.quote(place.header)))
    assert (await run(*line, place.url, cwd=tmp_path)).status == refused
    assert (tmp_path / "got.aria2").exists()  # its mark for "not complete"


async def test_aria2_goes_on_where_it_was_cut(place: Place, tmp_path: Path) -> None:
    await place.publish(BIG)
    await interrupted_aria2(place, tmp_path)
    line = shlex.split(ARIA2.format(header=shlex.quote(place.header)))
    assert (await run(*line, place.url, cwd=tmp_path)).status == 0
    assert (tmp_path / "got").read_bytes() == BIG.content


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(CURL.replace("-f", "-"), id="curl -C -"),
        pytest.param(WGET, id="wget -c"),
        pytest.param(WGET + " --header 'If-Range: {etag}'", id="wget -c with If-Range"),
    ],
)
async def test_the_lines_that_the_page_warns_of_do_mix_versions(
    place: Place, tmp_path: Path, line: str
) -> None:
    """They name no version, and this gateway never saw them begin; or they throw the new one's
    beginning away. No server can help them.

    When this fails a client has learnt something: then the warning in docs/resuming.md can go. What a
    gateway that saw the beginning does is in ``test_continuations``.
    """
    new = NEW["as large"]
    got = tmp_path / "got"
    got.write_bytes(OLD.read(0, HELD))
    await place.publish(OLD)
    await place.replace(new)
    assert (await run(*filled(line + " {url}", place), cwd=tmp_path)).status == 0
    assert got.read_bytes() == OLD.read(0, HELD) + new.read(HELD, new.size)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param(WGET, 0, id="wget"),
        pytest.param(ARIA2, 0, id="aria2"),
        pytest.param(CURL.replace("-f", "-"), 0, id="curl"),
    ],
)
async def test_a_complete_file_is_success_and_untouched(
    place: Place, tmp_path: Path, line: str, status: int
) -> None:
    """By our 416. (curl 7.88 with ``-f`` makes an error of it, exit 22; later ones do not.)"""
    got = tmp_path / "got"
    got.write_bytes(OLD.content)
    await place.publish(OLD)
    assert (await run(*filled(line + " {url}", place), cwd=tmp_path)).status == status
    assert got.read_bytes() == OLD.content


@pytest.mark.parametrize("replaced", [False, True], ids=["the same file", "replaced meanwhile"])
async def test_the_page_s_loop_gets_the_version_it_wants_or_says_so(
    place: Place, tmp_path: Path, replaced: bool, way: str
) -> None:
    """An nginx in edge mode may be quick enough to finish the old one."""
    await place.publish(BIG)

    async def replace(cut: Cut) -> None:
        if replaced and cut is cuts[2]:
            await place.replace(Firmware(39, BIG.size))

    cuts = list(seeded_cuts(9, 5, 900_000))
    async with running_cutproxy(place.port, cuts, on_cut=replace) as proxy:
        values = {"device": place.header, "url": proxy.url + place.path, "sha256": BIG.sha256}
        given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
        script = given + pages.shell(PAGE, "resume").replace("sleep 1", "sleep 0")
        ran = await run("sh", "-c", script, cwd=tmp_path)
        refused = replaced and not (way == "edge" and ran.status == 0)
        assert len(proxy.made) == (3 if refused else 5)
    if refused:
        assert ran.status != 0
        assert not (tmp_path / "firmware.bin").exists()
    else:
        assert ran.status == 0, ran.stderr
        assert (tmp_path / "firmware.bin").read_bytes() == BIG.content


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("pin", "status"),
    [
        pytest.param(OLD.sha256, 200, id="this version"),
        pytest.param(OLD.sha256.upper(), 200, id="in capitals"),
        pytest.param(NEW["larger"].sha256, 412, id="another version"),
        pytest.param(f"{OLD.sha256}&sha256={NEW['larger'].sha256}", 412, id="two versions"),
        pytest.param("", 400, id="none"),
        pytest.param(OLD.sha256[:-1], 400, id="too short"),
    ],
)
async def test_a_pinned_address_is_of_one_version(
    place: Place, method: str, pin: str, status: int
) -> None:
    await place.publish(OLD)
    name, _, value = place.header.partition(": ")
    async with raw_connection(place.port) as connection:
        answer = await connection.ask(method, f"{place.path}?sha256={pin}", [(name, value)])
        assert answer.status == status
        # It comes before what else is asked, so that a resumption gets no byte of another version.
        asked = [(name, value), ("Range", "bytes=100000-"), ("If-None-Match", '"x"')]
        answer = await connection.ask(method, f"{place.path}?sha256={pin}", asked)
        ranged = 206 if method == "GET" else 200
        assert answer.status == (ranged if status == 200 else status)


@pytest.mark.parametrize(
    ("wanted", "digests"),
    [
        pytest.param("SHA-512;q=1, SHA-256;q=1, SHA;q=0.1", 1, id="aria2's"),
        pytest.param("sha-256", 1, id="in small letters"),
        pytest.param("SHA-512, MD5", 0, id="others"),
    ],
)
@pytest.mark.parametrize("ranges", [(), (("Range", "bytes=5-99"),)], ids=["whole", "range"])
async def test_who_wants_an_old_style_digest_gets_that_of_the_whole_file(
    place: Place, wanted: str, digests: int, ranges: tuple[tuple[str, str], ...]
) -> None:
    await place.publish(OLD)
    name, _, value = place.header.partition(": ")
    raw = base64.b64encode(hashlib.sha256(OLD.content).digest()).decode()
    async with raw_connection(place.port) as connection:
        asked = [(name, value), ("Want-Digest", wanted), *ranges]
        answer = await connection.ask("GET", place.path, asked)
        assert answer.head.all("Digest") == digests * [f"SHA-256={raw}"]
        answer = await connection.ask("GET", place.path, [(name, value), *ranges])
        assert answer.head.all("Digest") == []


async def test_a_real_firmware_image_goes_up_and_comes_down_equal(
    place: Place, base_url: str, tmp_path: Path
) -> None:
    """64 MiB, by curl, as the README does it."""
    image, header = uefi_image(), ("-H", place.header)
    form = f"file=@{image};filename={place.name}"
    ran = await run(
        "curl", "-fsS", *header, "-F", form, f"{base_url}/filestore/files", cwd=tmp_path
    )
    assert ran.status == 0, ran.stderr
    ran = await run("curl", "-fsS", *header, "-o", "got", place.url, cwd=tmp_path)
    assert ran.status == 0, ran.stderr
    assert (await run("cmp", image, "got", cwd=tmp_path)).status == 0
