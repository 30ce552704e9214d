"""A whole cluster on loopback: ``python -m tests.cluster``, as ``make run-cluster`` runs it.

Three gateways, nginx before them, a SeaweedFS of three volume servers for the bytes, a PostgreSQL with a standby that
has all that was acknowledged. It prints what to try and runs until Ctrl-C or SIGTERM, then ends all that it started. With
``--check`` it tries the same by itself, prints what it saw, and ends with status 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.banner import banner
from gateway.identity.records.users import NewAdmin
from tests.cluster.scenario import try_everything
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, GatewayProcess, running_gateway
from tests.tools.nginx import Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.postgres import Pair, running_pair
from tests.tools.s3store import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.tools.seaweed import Engine
from tests.tools.seaweedcluster import Weeds, running_weeds

GATEWAYS = 3
_TRY = """
# The gateways behind it, each with what it says of itself
{gateways}

# Kill one in the middle of a transfer: clients go on at the others
kill -9 {pid}

# Kill a volume server of the store: everything is on another one, too, and uploads go on
kill -9 {volume}

# Fail over: end the primary, promote the standby; uploads get 503 until it is done
kill -QUIT {primary}
{promote}

# How each of them hears of changes
{heard}
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs."""

    nginx: Nginx
    gateways: tuple[GatewayProcess, ...]
    pair: Pair
    weeds: Weeds

    def text(self) -> str:
        """What to try."""
        process = self.pair.primary.process
        assert process is not None, "it runs"
        urls = [gateway.url for gateway in self.gateways]
        return banner(
            self.nginx.url, "/filestore", NewAdmin(ADMIN_EMAIL, ADMIN_PASSWORD)
        ) + _TRY.format(
            gateways="\n".join(
                f"curl {url}/ready; # pid {g.pid}"
                for url, g in zip(urls, self.gateways, strict=True)
            ),
            pid=self.gateways[0].pid,
            volume=self.weeds.volumes[0].pid,
            primary=process.pid,
            promote=self.pair.standby.promotion,
            heard="\n".join(f"curl -s {url}/metrics | grep gateway_changes_heard" for url in urls),
        )


@contextlib.asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """All of it, ready."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        pair, weeds = await asyncio.gather(
            enter(running_pair(folder / "postgres", fsync=True)),
            enter(running_weeds(folder / "seaweed")),
        )
        await pair.primary.execute("create database fleet")
        gateways = [
            await enter(_gateway(folder / f"gateway-{n}", pair, weeds.engine))
            for n in range(GATEWAYS)
        ]
        upstream = ";\n    server ".join(f"{HOST}:{gateway.port}" for gateway in gateways)
        blobs = folder / "blobs"
        blobs.mkdir()
        nginx = await enter(running_nginx(folder / "nginx", upstream=upstream, blobs=blobs))
        yield Cluster(nginx, tuple(gateways), pair, weeds)


def _gateway(
    folder: Path, pair: Pair, engine: Engine
) -> contextlib.AbstractAsyncContextManager[GatewayProcess]:
    folder.mkdir()
    return running_gateway(
        folder,
        database_server=None,
        database_url=pair.dsn("fleet"),
        database_connections=5,
        secret="of-all-gateways-of-this-cluster-alone",
        trusted_proxies=f"{HOST}/32",
        store="s3",
        s3_endpoint=engine.endpoint,
        s3_bucket=BUCKET,
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
        access_log="false",
    )


async def _main(options: argparse.Namespace) -> int:
    """SIGTERM and Ctrl-C are what a cancelled task is: everything is ended, whenever they come."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "this is one"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with tempfile.TemporaryDirectory(prefix="filestore-cluster-") as name:
        Path(name).chmod(0o755)
        try:
            async with running_cluster(Path(name)) as cluster:
                if options.check:
                    return 0 if await _check(cluster) else 1
                print(cluster.text(), flush=True)
                await loop.create_future()
        except asyncio.CancelledError:
            print("all of it has ended", flush=True)
    return 0


async def _check(cluster: Cluster) -> bool:
    async with aiohttp.ClientSession() as session:
        return await try_everything(
            session, cluster.nginx.url, cluster.gateways, cluster.pair, cluster.weeds, say=print
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="try it, say what was seen, and end")
    sys.exit(asyncio.run(_main(parser.parse_args())))
