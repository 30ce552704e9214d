"""F: downloads that are cut, delayed and throttled, by other people's clients, alone and behind nginx.

One case is one image, one client, one way to the gateway, and a few cuts; in some the image is replaced at one of them.
What is there in the end is the image byte for byte; a client that cannot go on after a replacement is refused, holds
the beginning of one image, and gets the other whole when it starts again. Never is there a mixture.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from tests.devices.test_swupdate import Signer, Site
from tests.tools.clients import Ran, run
from tests.tools.cutproxy import Cut, CutProxy, running_cutproxy
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.losant import Application, new_application
from tests.tools.mainflux import Thing, sign_in
from tests.tools.nginx import ACCEL, running_nginx
from tests.tools.place import Place
from tests.tools.ports import HOST
from tests.torture.suite import Case, Seen, Stage, Suite, Violated
from tests.web.test_resume import own_client

OnCut = Callable[[Cut], Awaitable[None]]
_MOST_CUTS: Final = 12
_MOST_TRIES: Final = 40
_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Lines:
    """How a client is called: with a version that it insists on, and again after each failure.

    ``tries_itself``: it goes on by itself, and is asked again only if it gave up.
    """

    name: str
    words: Sequence[str]

    def of(self, url: str, header: str) -> list[str]:
        """The command line."""
        values = {"url": url, "header": header}
        return [word.format(**values) for word in self.words]


CLIENTS: Final = (
    Lines("curl", ("curl", "-fsS", "-C", "-", "-o", "got", "-H", "{header}", "{url}")),
    Lines(
        "wget",
        (
            "wget",
            "-q",
            "-c",
            "-t",
            "3",
            "--waitretry=0",
            "-O",
            "got",
            "--header",
            "{header}",
            "{url}",
        ),
    ),
    Lines(
        "aria2c",
        (
            *("aria2c", "-q", "-c", "--max-tries=3", "--retry-wait=0", "-x4", "-s4", "-k1M"),
            *("--file-allocation=none", "-o", "got", "--header", "{header}", "{url}"),
        ),
    ),
)


class Downloads:
    """A gateway, nginx before it in two ways, and clients that are cut."""

    def __init__(
        self,
        gateway: GatewayProcess,
        http: aiohttp.ClientSession,
        thing: Thing,
        application: Application,
        ports: Mapping[str, int],
        folder: Path,
    ) -> None:
        self._gateway, self._http, self._thing = gateway, http, thing
        self._application, self._ports, self._folder = application, ports, folder
        self._signer = Signer()

    async def case(self, number: int, choice: random.Random) -> Seen:
        """One client and its cuts."""
        folder = self._folder / f"case{number}"
        folder.mkdir()
        try:
            kinds = (self._foreign, self._own, self._swupdate, self._zckdl)
            [kind] = choice.choices(kinds, (60, 30, 2, 3))
            return await kind(number, choice, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _foreign(self, number: int, choice: random.Random, folder: Path) -> Seen:
        """curl, wget, aria2c, of an address that names the version."""
        way, place = self._place(number, choice)
        image, new = self._images(number, choice)
        await place.publish(image)
        client, replaced = choice.choice(CLIENTS), choice.random() < 0.3
        plan = self._plan(choice, image)
        at = choice.randrange(len(plan)) if replaced else -1
        happened = False

        async def on_cut(cut: Cut) -> None:
            nonlocal happened
            if at >= 0 and cut is plan[at]:
                happened = True
                await place.replace(new)

        async with self._proxied(place.port, plan, choice, on_cut) as proxy:
            url = f"{proxy.url}{place.path}?sha256={image.sha256}"
            whole = await self._until_whole(client, url, place.header, folder, image)
            cuts = len(proxy.made)
        self._judge(folder / "got", image, whole=whole, may_stop=happened)
        if not whole:
            (folder / "got").unlink(missing_ok=True)
            (folder / "got.aria2").unlink(missing_ok=True)
            url = f"{place.url}?sha256={new.sha256}"
            whole = await self._until_whole(client, url, place.header, folder, new)
            self._judge(folder / "got", new, whole=whole, may_stop=False)
        await place.remove()
        said = "replaced" if happened else "same"
        return Seen({"cuts": cuts, f"{client.name} {way} {said}": cuts})

    async def _own(self, number: int, choice: random.Random, folder: Path) -> Seen:
        """A careful device: If-Range, and from the beginning upon a 200."""
        way, place = self._place(number, choice)
        image, new = self._images(number, choice)
        await place.publish(image)
        plan = self._plan(choice, image)
        at = choice.randrange(len(plan)) if choice.random() < 0.5 else -1
        happened = False

        async def on_cut(cut: Cut) -> None:
            nonlocal happened
            if at >= 0 and cut is plan[at]:
                happened = True
                await place.replace(new)

        async with self._proxied(place.port, plan, choice, on_cut) as proxy:
            async with asyncio.timeout(_SECONDS):
                await own_client(proxy.url + place.path, place.header, folder)
            cuts = len(proxy.made)
        got = (folder / "got").read_bytes()
        may = [image.content, new.content] if happened else [image.content]
        if got not in may:
            raise Violated(f"own, {way}: {len(got)} bytes are no image")
        await place.remove()
        said = "replaced" if happened else "same"
        return Seen({"cuts": cuts, f"own {way} {said}": cuts})

    async def _swupdate(self, number: int, choice: random.Random, folder: Path) -> Seen:
        """SWUpdate goes on by itself, five times."""
        site = Site(folder, self._signer)
        payload = Firmware(number, 400_000)
        swu = site.image(payload)
        name = f"s{number}.swu"
        place = Place(self._gateway, self._http, self._thing, self._ports["alone"], name)
        await place.publish(_Bytes(swu))  # type: ignore[arg-type]
        cuts = [Cut("response", choice.randrange(2_000, len(swu))) for _ in range(2)]
        async with running_cutproxy(place.port, cuts) as proxy:
            ran = await site.update(proxy.url + place.path, self._thing.key)
            made = len(proxy.made)
        if ran.status != 0 or site.partition.read_bytes() != payload.content:
            raise Violated(f"swupdate: {ran.status} {ran.stderr[-500:]!r}")
        await place.remove()
        return Seen({"cuts": made, "swupdate alone same": made})

    async def _zckdl(self, number: int, choice: random.Random, folder: Path) -> Seen:
        """zckdl takes the chunks that it has not, by several ranges at once, from a link."""
        old, new = folder / "old", folder / "new"
        content = choice.randbytes(400_000)
        old.write_bytes(content)
        new.write_bytes(content[:150_000] + choice.randbytes(100_000) + content[250_000:])
        for path in (old, new):
            await _well(await run("zck", path.name, cwd=folder))
        image = (folder / "new.zck").read_bytes()
        made = await self._application.publish(f"z{number}.zck", image)
        link = await self._application.link({"id": made["id"]})
        target = "/private-files" + link.partition("/private-files")[2]
        cuts = [Cut("response", choice.randrange(len(image) // 2)) for _ in range(2)]
        got = folder / "got"
        got.mkdir()
        async with running_cutproxy(self._ports["alone"], cuts) as proxy:
            for _ in range(_MOST_TRIES):
                words = ("zckdl", "-s", str(folder / "old.zck"), proxy.url + target)
                if (await run(*words, cwd=got, seconds=_SECONDS)).status == 0:
                    break
            count = len(proxy.made)
        [found] = [path.read_bytes() for path in got.iterdir()]
        if found != image:
            raise Violated(f"zckdl: {len(found)} bytes are not the image")
        await self._application.ask("DELETE", f"/{made['id']}", 200)
        return Seen({"cuts": count, "zckdl alone same": count})

    async def _until_whole(
        self, client: Lines, url: str, header: str, folder: Path, image: Firmware
    ) -> bool:
        """Call the client until it is content; whether it is, and does not give up for good."""
        for _ in range(_MOST_TRIES):
            ran = await run(*client.of(url, header), cwd=folder, seconds=_SECONDS)
            if ran.status == 0 and not _stopped_short(folder / "got", image):
                return True
            if _is_refused(client.name, ran):
                return False
        raise Violated(f"{client.name} got nowhere with {url}")

    def _judge(self, got: Path, image: Firmware, *, whole: bool, may_stop: bool) -> None:
        content = got.read_bytes() if got.exists() else b""
        if whole and content != image.content:
            raise Violated(f"{len(content)} other bytes as {image.size} whole ones")
        if not whole and not may_stop:
            raise Violated("it was refused, and nothing was replaced")
        if (
            not whole
            and not got.with_name("got.aria2").exists()
            and not image.content.startswith(content)
        ):
            raise Violated("what it holds is not the beginning of what it asked for")

    def _place(self, number: int, choice: random.Random) -> tuple[str, Place]:
        way = choice.choice(tuple(self._ports))
        port = self._ports[way]
        return way, Place(self._gateway, self._http, self._thing, port, f"r{number}.bin")

    def _images(self, number: int, choice: random.Random) -> tuple[Firmware, Firmware]:
        size = choice.choice((60_000, 200_000, 600_000, 2_500_000))
        other = choice.choice((size, size, size + 10_000, size // 2))
        return Firmware(2 * number, size), Firmware(2 * number + 1, other)

    def _plan(self, choice: random.Random, image: Firmware) -> list[Cut]:
        count, most = choice.randrange(1, _MOST_CUTS), image.size // 3 + 400
        return [
            Cut("response", int(choice.random() * most), choice.choice(("fin", "rst")))
            for _ in range(count)
        ]

    def _proxied(
        self, port: int, plan: list[Cut], choice: random.Random, on_cut: OnCut
    ) -> contextlib.AbstractAsyncContextManager[CutProxy]:
        rate = choice.choice((None, None, None, 3_000_000.0))
        latency = choice.choice((0.0, 0.0, 0.0, 0.02))
        return running_cutproxy(port, plan, bytes_per_second=rate, latency=latency, on_cut=on_cut)


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Content that is no firmware of ours."""

    content: bytes


async def _well(ran: Ran) -> None:
    if ran.status:
        raise Violated(f"{ran.stderr!r}")


def _stopped_short(got: Path, image: Firmware) -> bool:
    """curl 7.88 takes a head that ends in the middle for a whole answer: it has to be asked again.

    The loop in docs/resuming.md compares the digest, and so asks again, too.
    """
    content = got.read_bytes() if got.exists() else b""
    return len(content) < image.size and image.content.startswith(content)


def _is_refused(client: str, ran: Ran) -> bool:
    """412: the version is another by now; each has its own way to say that it is no use to go on."""
    if client == "curl":
        return ran.status == 22 and b"412" in ran.stderr
    return ran.status == (8 if client == "wget" else 22)


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The gateway and what stands before it."""
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(
                stage.folder,
                database_server=stage.server,
                module="tests.torture.planted",
                accel=ACCEL,
                trusted_proxies=f"{HOST}/32",
                several_ranges=True,
                garbage_grace_seconds=60,
                sweep_interval_seconds=20,
            )
        )
        upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
        ports = {"alone": gateway.port}
        for way in ("accel", "edge"):
            nginx = running_nginx(
                stage.folder / way, upstream=upstream, blobs=blobs, edge=way == "edge"
            )
            ports[way] = (await stack.enter_async_context(nginx)).port
        http = await stack.enter_async_context(aiohttp.ClientSession())
        admin = await sign_in(http, gateway.url)
        thing, application = await admin.thing(), await new_application(admin)
        yield Downloads(gateway, http, thing, application, ports, stage.folder).case


SUITE: Final = Suite(
    name="resume",
    what="downloads by curl, wget, aria2c, swupdate, zckdl and a careful device, cut, throttled and "
    "replaced midway; alone, behind X-Accel-Redirect and behind an edge",
    unit="cuts",
    full=5_000,
    small=3,
    opened=opened,
    seconds=120.0,
)
