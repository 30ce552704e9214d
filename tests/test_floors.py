"""The house stands by its imports: downwards only, and each door only where it belongs.

The rules are tried on planted violations first, so that a rule that no longer bites is seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GATEWAY = Path(__file__).parent.parent / "gateway"

FLOORS = [
    {"model", "settings", "process", "fleet"},
    {"database", "traffic", "http_client", "resolvers"},
    {"blobs", "catalogue", "identity", "messaging", "quotas"},
    {"filestore", "upkeep"},
    {"backup"},
    {"web/server"},
    {"web"},
    {"dialects"},
    {"wiring", "banner"},
    {"app"},
    {"commands"},
    {"__main__"},
]
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# A room within another that has a floor of its own.
INNER_ROOMS = {room for room in HEIGHT if "/" in room}

# Who may come to the database, to HTTP, to files, to the environment.
DATABASE_ROOMS = (
    "database/pool.py",
    "database/migrations.py",
    "database/changes.py",
    "database/dump.py",
    "database/facts.py",
    "database/servers.py",
    "database/statements.py",
)
HTTP_ROOMS = (
    "web/",
    "dialects/",
    "app.py",
    "commands/",
    "__main__.py",
    "http_client.py",
    "resolvers.py",
    "identity/hook.py",
    "messaging/posting.py",
)
# Who may touch what aiohttp, aiofastnet and uvloop call private or do not document.
INSIDE_ROOM = "web/server/"
INSIDE_MODULES = {
    *("aiohttp.base_protocol", "aiohttp.http_parser", "aiohttp.http_writer", "aiohttp.streams"),
    *("aiohttp.web_protocol", "aiohttp.web_server"),
}
INSIDE_NAMES = {
    *("get_read_buffer_limits", "message_consumed", "output_size", "set_read_chunk_size"),
    *("total_bytes", "requests_count"),
}
LOOP_ROOMS = (INSIDE_ROOM, "__main__.py")

# Beside the blob store, what the process itself needs at start: its settings, its secret, its
# database server, its workers' socket, its log. The fleet is a client, with a file of its own;
# backups are a folder elsewhere.
FILE_ROOMS = (
    "backup/vault.py",
    "blobs/disk/",
    "settings/",
    "database/dump.py",
    "database/embedded.py",
    "process/",
    "fleet/",
)
# Who may be handed the service's settings; everybody else gets values.
SETTINGS_ROOMS = ("settings/", "wiring.py", "app.py", "commands/", "__main__.py")
ENVIRONMENT_ROOMS = ("settings/sources.py",)

# What a dialect is, in words that all of them use.
SHARED_BY_DIALECTS = {"__init__", "dialect", "port"}

FILE_MODULES = {"aiofiles", "fcntl", "glob", "mmap", "shutil", "tempfile"}
FILE_CALLS = {
    *("access", "chmod", "chown", "close", "fallocate", "fdatasync", "fsync", "fstat", "ftruncate"),
    *("link", "listdir", "lstat", "makedirs", "mkdir", "mkfifo", "open", "posix_fadvise"),
    *("posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "read", "readlink", "remove"),
    *("removedirs", "rename", "renames", "replace", "rmdir", "scandir", "sendfile", "stat"),
    *("statvfs", "symlink", "sync", "truncate", "unlink", "utime", "walk", "write"),
}
PATH_METHODS = {
    *("exists", "glob", "hardlink_to", "is_dir", "is_file", "iterdir", "lstat", "mkdir"),
    *("read_bytes", "read_text", "rglob", "rmdir", "symlink_to", "touch", "unlink"),
    *("write_bytes", "write_text"),
}
ENVIRONMENT_NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module a source names in an import, wherever in it; ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def room_of(path: str) -> str:
    inner = "/".join(path.split("/")[:2])
    return inner if inner in INNER_ROOMS else path.partition("/")[0].removesuffix(".py")


def room_of_module(name: str) -> str:
    """The room of a module by its dotted name, without its first part."""
    return room_of(name.partition(".")[2].replace(".", "/"))


def is_adapter(path: str) -> bool:
    """Whether it is a ``*/postgres*.py`` or a ``*/rows/*.py``."""
    folder, _, name = path.rpartition("/")
    return bool(folder) and (name.startswith("postgres") or folder.endswith("/rows"))


def climbing(path: str, names: set[str]) -> Iterator[str]:
    """Imports that do not go downwards; ``__main__`` is imported by nobody."""
    room = room_of(path)
    if room == "__init__":
        yield from (f"the package imports {n}" for n in names if n.startswith("gateway."))
        return
    if room not in HEIGHT:
        yield f"{room} is on no floor"
        return
    for name in names:
        if name.startswith("."):
            yield f"relative import {name}"
        if not name.startswith("gateway."):
            continue
        other = room_of_module(name)
        if other in {room, "__version__"}:
            continue
        if HEIGHT.get(other, len(FLOORS)) >= HEIGHT[room]:
            yield f"imports {name} from its own floor or above"


def between_dialects(path: str, names: set[str]) -> Iterator[str]:
    """A dialect that imports another: a fifth one must be addable, and removable, alone."""
    parts = path.split("/")
    if parts[0] != "dialects" or len(parts) < 2 or parts[1] == "__init__.py":
        return
    own = parts[1].removesuffix(".py")
    dialects = {p.stem for p in (GATEWAY / "dialects").iterdir()}
    dialects -= SHARED_BY_DIALECTS
    for name in names:
        match name.split("."):
            case ["gateway", "dialects", other, *_] if other in dialects - {own}:
                yield f"imports another dialect, {name}"


def allowed(path: str, rooms: tuple[str, ...]) -> bool:
    return path.startswith(rooms)


def touching_files(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id="open"):
                yield "calls open"
            case ast.Attribute(value=ast.Name(id="os" | "io"), attr=attr) if attr in FILE_CALLS:
                yield f"calls os.{attr}"
            case ast.Attribute(attr=attr) if attr in PATH_METHODS:
                yield f"calls .{attr}"


def reading_environment(tree: ast.AST, names: set[str]) -> Iterator[str]:
    yield from (n for n in names if n.startswith("os.") and n[3:] in ENVIRONMENT_NAMES)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr in ENVIRONMENT_NAMES:
                yield f"os.{attr}"


def own_private_names(tree: ast.AST) -> set[str]:
    """Private names that a module gives: functions, classes, variables, attributes, slots."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")]):
                found |= {str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return found


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


def touching_inside(tree: ast.AST, names: set[str]) -> Iterator[str]:
    """Private names of foreign objects, and what aiohttp does not document.

    A private name is foreign unless it is looked up on ``self`` or ``cls``, or the module gives
    it itself. A base class's private name is foreign, too: ``super()`` is not ``self``.
    """
    own = own_private_names(tree)
    modules = {name.rpartition(".")[0] for name in names} | names
    yield from (f"imports {name}" for name in sorted(modules & INSIDE_MODULES))
    yield from (f"imports {n}" for n in names if is_private(n.rpartition(".")[2]) and "." in n)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                yield f"private .{name}"
            case ast.Attribute(attr=name) if name in INSIDE_NAMES:
                yield f"undocumented .{name}"
            case ast.Attribute(value=ast.Name(id="request"), attr="writer"):
                yield "undocumented request.writer"
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=name), *_],
            ) if (is_private(name) and name not in own) or name in INSIDE_NAMES:
                yield f"private {name!s} by its name"


def violations(path: str, source: str) -> list[str]:
    """What ``source``, as the file ``path`` of the package, does against the rules."""
    tree = ast.parse(source)
    names = set(imported(tree))
    roots = {name.partition(".")[0] for name in names}
    found = [*climbing(path, names), *between_dialects(path, names)]
    if "asyncpg" in roots and not (path in DATABASE_ROOMS or is_adapter(path)):
        found.append("imports asyncpg")
    if "aiohttp" in roots and not allowed(path, HTTP_ROOMS):
        found.append("imports aiohttp")
    if not allowed(path, FILE_ROOMS):
        found += [f"imports {name}" for name in sorted(roots & FILE_MODULES)]
        found += [f"imports {n}" for n in names if n.startswith("os.") and n[3:] in FILE_CALLS]
        # SQL is package data, read through importlib.resources, which has methods of the same name.
        found += touching_files(tree) if path not in DATABASE_ROOMS else []
    if not path.startswith(INSIDE_ROOM):
        found += touching_inside(tree, names)
    if "aiofastnet" in roots and not allowed(path, LOOP_ROOMS):
        found.append("imports aiofastnet")
    if not allowed(path, SETTINGS_ROOMS):
        found += [f"imports {n}" for n in names if n.startswith("gateway.settings.core")]
    if path not in ENVIRONMENT_ROOMS:
        found += [f"reads the environment: {name}" for name in reading_environment(tree, names)]
    return found


SOURCES = sorted(str(path.relative_to(GATEWAY)) for path in GATEWAY.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES)
def test_a_module_keeps_to_its_floor(path: str) -> None:
    assert [] == violations(path, (GATEWAY / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("model/file.py", "import gateway.database.pool", id="model looks up"),
        pytest.param("model/file.py", "from gateway import settings", id="model reads settings"),
        pytest.param(
            "database/pool.py", "from gateway.blobs.port import Blob", id="database looks up"
        ),
        pytest.param("blobs/disk/store.py", "from gateway.catalogue.port import X", id="siblings"),
        pytest.param("upkeep/sweep.py", "from gateway.filestore import X", id="engine siblings"),
        pytest.param("filestore.py", "from gateway.web import x", id="engine looks up"),
        pytest.param(
            "web/downloads/serve.py", "from gateway.dialects import x", id="web knows dialects"
        ),
        pytest.param(
            "web/downloads/serve.py", "def f():\n import gateway.app", id="inside a function"
        ),
        pytest.param("dialects/hasura.py", "from gateway.app import x", id="dialect looks up"),
        pytest.param(
            "dialects/hasura.py", "from gateway.dialects.mainflux import x", id="dialects"
        ),
        pytest.param("dialects/hasura.py", "from gateway.dialects import mainflux", id="dialect"),
        pytest.param("dialects/mainflux/files.py", "import gateway.dialects.hasura", id="package"),
        pytest.param("app.py", "import gateway.__main__", id="the command line is imported"),
        pytest.param("app.py", "from gateway.commands import check", id="app looks up"),
        pytest.param("wiring.py", "from gateway.app import serve", id="wiring looks up"),
        pytest.param("banner.py", "from gateway.wiring import Deployment", id="wiring's own floor"),
        pytest.param("web/dialect.py", "import gateway.wiring", id="a room looks up to the top"),
        pytest.param("__init__.py", "from gateway.model import file", id="the package imports"),
        pytest.param("helpers.py", "", id="a module on no floor"),
        pytest.param("model/file.py", "from gateway.helpers import x", id="import of no floor"),
        pytest.param("web/downloads/serve.py", "from . import guard", id="relative import"),
        pytest.param("filestore.py", "import asyncpg", id="asyncpg in the engine"),
        pytest.param("blobs/disk/store.py", "from asyncpg import Pool", id="asyncpg in blobs"),
        pytest.param("web/postgres_view.py", "import gateway.app, asyncpg", id="adapter looks up"),
        pytest.param("filestore.py", "from aiohttp import web", id="aiohttp in the engine"),
        pytest.param("identity/registry.py", "import aiohttp.web", id="aiohttp in identity"),
        pytest.param("messaging/webhooks.py", "import aiohttp", id="aiohttp in messaging"),
        pytest.param("messaging/messages.py", "import gateway.identity.things", id="siblings meet"),
        pytest.param("web/uploads/receive.py", "open('x')", id="open"),
        pytest.param("web/uploads/receive.py", "import os\nos.unlink('x')", id="os call"),
        pytest.param("web/uploads/receive.py", "from os import unlink", id="os import"),
        pytest.param("web/uploads/receive.py", "import tempfile", id="temporary files"),
        pytest.param("filestore.py", "import aiofiles.os", id="aiofiles"),
        pytest.param("upkeep/sweep.py", "def f(p): p.write_bytes(b'')", id="path method"),
        pytest.param("catalogue/postgres.py", "def f(p): p.unlink()", id="files in an adapter"),
        pytest.param(
            "upkeep/loop.py", "from gateway.settings.core import Settings", id="settings in a room"
        ),
        pytest.param("app.py", "import os\nos.environ['X']", id="environ"),
        pytest.param("app.py", "import os\nos.getenv('X')", id="getenv"),
        pytest.param("database/embedded.py", "from os import environ", id="environ imported"),
        pytest.param("web/server/plain.py", "import gateway.web.metrics", id="server looks up"),
        pytest.param("web/server/plain.py", "from gateway.web import edge", id="server and web"),
        pytest.param("web/server/plain.py", "import gateway.dialects", id="server and dialects"),
        pytest.param("filestore.py", "import gateway.web.server.tcp", id="engine and server"),
        pytest.param("web/edge.py", "def f(r): r._eof_sent = True", id="private name"),
        pytest.param("web/edge.py", "def f(r): return r.a.b()._x", id="private name far away"),
        pytest.param("web/edge.py", "def f(): return super()._x()", id="private name of a base"),
        pytest.param(
            "web/edge.py",
            "class A:\n def f(self): return self.other._x",
            id="private name of an attribute",
        ),
        pytest.param("web/edge.py", "def f(r): getattr(r, '_x')", id="private name as text"),
        pytest.param("web/edge.py", "from asyncio import _x", id="private name imported"),
        pytest.param("app.py", "import aiohttp.web_protocol", id="module not documented"),
        pytest.param("web/edge.py", "from aiohttp.streams import StreamReader", id="streams"),
        pytest.param("web/edge.py", "async def f(request): request.writer", id="writer"),
        pytest.param("web/edge.py", "def f(r): r.content.set_read_chunk_size(1)", id="reading"),
        pytest.param("web/edge.py", "from aiofastnet import Transport", id="aiofastnet"),
    ],
)
def test_a_planted_violation_is_seen(path: str, source: str) -> None:
    assert [] != violations(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("app.py", "import gateway.settings.core, gateway.dialects.hasura", id="app"),
        pytest.param("__main__.py", "from gateway import __version__, app", id="command line"),
        pytest.param("blobs/disk/store.py", "import os\nfrom gateway.blobs import port\nos.fsync(3)", id="disk"),
        pytest.param("catalogue/postgres.py", "import asyncpg, gateway.database.pool", id="adapter"),
        pytest.param("identity/hook.py", "import aiohttp\nfrom gateway.model import access", id="hook"),
        pytest.param("messaging/posting.py", "import aiohttp", id="delivery"),
        pytest.param("dialects/mainflux/files.py", "import gateway.dialects.mainflux.things", id="own package"),
        pytest.param("dialects/hasura.py", "from gateway.dialects.dialect import Dialect", id="what dialects share"),
        pytest.param("dialects/__init__.py", "from gateway.dialects import hasura", id="registry"),
        pytest.param("settings/sources.py", "import os\nos.environ.get('X')", id="settings"),
        pytest.param("web/downloads/serve.py", "import os\nos.urandom(3)", id="os that is no file"),
        pytest.param("web/downloads/serve.py", "import gateway.web.server.tcp", id="web and server"),
        pytest.param("web/server/plain.py", "import gateway.web.server.tcp", id="within server"),
        pytest.param("web/server/plain.py", "from aiohttp import web_protocol\ndef f(x): x._y", id="server"),
        pytest.param("web/edge.py", "class A:\n def f(self): self._x = 1\ndef g(a): return a._x", id="own private name"),
        pytest.param("web/edge.py", "class A:\n __slots__ = ('_x',)\ndef g(a): return a._x", id="own slot"),
    ],
)  # fmt: skip
def test_what_is_meant_is_allowed(path: str, source: str) -> None:
    assert [] == violations(path, source)
