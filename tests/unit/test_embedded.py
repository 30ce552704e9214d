"""The embedded PostgreSQL: durable, private, shared by processes, and hard to lose."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from gateway.database.embedded import (
    EmbeddedFailed,
    _cause,
    _Owner,
    _reaching_prefix,
    embedded_postgres,
    embedded_server,
)

HOLDER = """
import sys
from pathlib import Path
from gateway.database.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Short, unlike tmp_path, so that the socket lies beside the data."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    yield folder / "var"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A database that was made and stopped, to be copied where its making is not the point."""
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        made = Path(folder) / "var"
        with embedded_server(made):
            pass
        yield made / "postgres"


@pytest.fixture
def used_dir(data_dir: Path, cluster: Path) -> Path:
    """A data directory that has its database, of whoever owns the folder."""
    data_dir.mkdir()
    subprocess.run(["cp", "-a", cluster, data_dir], check=True)
    return data_dir


class Holder:
    """Another process that uses the server until it is told to leave, or is killed."""

    def __init__(self, data_dir: Path, prefix: list[str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*(prefix or []), sys.executable, "-c", HOLDER, str(data_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dsn(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.process.communicate()[1]
        return line

    def leave(self) -> None:
        assert ("", "") == self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres/postmaster.pid").read_text().split("\n")[0])


def running(data_dir: Path) -> bool:
    return (data_dir / "postgres/postmaster.pid").exists()


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def wait_until_gone(pid: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        while "zombie" not in Path(f"/proc/{pid}/status").read_text():
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param("fsync", "on", id="a commit reaches the disk"),
        pytest.param("synchronous_commit", "on", id="before it is answered"),
        pytest.param("full_page_writes", "on", id="and a torn page is mended"),
        pytest.param("listen_addresses", "", id="no network"),
        pytest.param("unix_socket_permissions", "0700", id="nobody else's socket"),
        pytest.param("server_encoding", "UTF8", id="any name"),
    ],
)
async def test_the_server_is_durable_and_private(shared: str, setting: str, expected: str) -> None:
    assert expected == await ask(shared, f"show {setting}")


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="gw") as folder, embedded_server(Path(folder)) as dsn:
        yield dsn


async def test_the_server_runs_for_the_block(used_dir: Path) -> None:
    async with embedded_postgres(used_dir) as dsn:
        assert 1 == await ask(dsn, "select 1")
        server = os.getpriority(os.PRIO_PROCESS, postmaster(used_dir))
        assert server > os.getpriority(os.PRIO_PROCESS, 0), "it does not keep us from a processor"
    assert not running(used_dir)


async def test_rows_outlive_the_server(used_dir: Path) -> None:
    async with embedded_postgres(used_dir) as dsn:
        await ask(dsn, "create table t as select 7 as n")
    async with embedded_postgres(used_dir) as dsn:
        assert 7 == await ask(dsn, "select n from t")


async def test_a_second_process_shares_the_server_and_leaves_it_running(used_dir: Path) -> None:
    async with embedded_postgres(used_dir) as dsn:
        pid = postmaster(used_dir)
        second = Holder(used_dir)
        assert dsn == second.dsn()
        second.leave()
        assert pid == postmaster(used_dir)
        assert 1 == await ask(dsn, "select 1")
    assert not running(used_dir)


async def test_the_server_outlives_the_first_process_while_a_second_uses_it(
    used_dir: Path,
) -> None:
    first, second = Holder(used_dir), Holder(used_dir)
    dsn = first.dsn()
    assert dsn == second.dsn()
    first.leave()
    assert 1 == await ask(dsn, "select 1")
    second.leave()
    assert not running(used_dir)


def test_processes_that_start_at_once_agree_on_one_server(data_dir: Path) -> None:
    holders = [Holder(data_dir) for _ in range(5)]
    assert 1 == len({holder.dsn() for holder in holders})
    for holder in holders:
        holder.leave()
    assert not running(data_dir)


async def test_the_server_of_a_killed_gateway_is_used_again_and_stopped(used_dir: Path) -> None:
    killed = Holder(used_dir)
    await ask(killed.dsn(), "create table t as select 7 as n")
    pid = postmaster(used_dir)
    killed.kill()
    async with embedded_postgres(used_dir) as dsn:
        assert pid == postmaster(used_dir)
        assert 7 == await ask(dsn, "select n from t")
    assert not running(used_dir)


async def test_gateway_and_server_killed_together_lose_nothing(used_dir: Path) -> None:
    killed = Holder(used_dir)
    await ask(killed.dsn(), "create table t as select 7 as n")
    killed.kill()
    pid = postmaster(used_dir)
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    async with embedded_postgres(used_dir) as dsn:
        assert 7 == await ask(dsn, "select n from t")


async def test_a_stale_pid_that_another_process_now_has_is_no_obstacle(used_dir: Path) -> None:
    async with embedded_postgres(used_dir):
        remains = (used_dir / "postgres/postmaster.pid").read_text()
    stranger = subprocess.Popen(
        ["sleep", "60"], user=(used_dir / "postgres").stat().st_uid if os.geteuid() == 0 else None
    )
    try:
        lines = [str(stranger.pid), *remains.split("\n")[1:]]
        (used_dir / "postgres/postmaster.pid").write_text("\n".join(lines))
        async with embedded_postgres(used_dir) as dsn:
            assert 1 == await ask(dsn, "select 1")
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_half_made_database_is_made_again(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new/PG_VERSION").write_text("18\n")
    async with embedded_postgres(data_dir) as dsn:
        assert 1 == await ask(dsn, "select 1")
    assert not (data_dir / "postgres.new").exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 120, id="long"),
        pytest.param("with space, comma and 'quote'", id="odd"),
        pytest.param('it\'s "q" $HOME `x`', id="what a shell would read"),
        pytest.param("Prüfstand", id="umlaut"),
    ],
)
async def test_any_path_of_the_data_directory_will_do(tmp_path: Path, name: str) -> None:
    async with embedded_postgres(tmp_path / name) as dsn:
        assert 1 == await ask(dsn, "select 1")


async def test_a_data_directory_behind_a_closed_folder_will_do(data_dir: Path) -> None:
    assert 0o700 == data_dir.parent.stat().st_mode & 0o777
    async with embedded_postgres(data_dir) as dsn:
        assert 1 == await ask(dsn, "select 1")
    assert 0o700 == data_dir.parent.stat().st_mode & 0o777


async def test_a_squatted_socket_folder_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    async with embedded_postgres(long) as dsn:
        folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
    assert not folder.exists()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(EmbeddedFailed, match="belongs to somebody else"):
        async with embedded_postgres(long):
            pass
    folder.rmdir()


@pytest.fixture
def as_ordinary_user(data_dir: Path) -> list[str]:
    """How to run as a user who is not root: nothing to do, unless these tests run as root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("daemon")
    os.chown(data_dir.parent, user.pw_uid, user.pw_gid)
    return _reaching_prefix(_Owner(user.pw_uid, user.pw_gid, user.pw_name))


def test_the_group_is_that_of_the_process_whatever_the_user_table_says(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("only root can try another pair of user and group")
    user = pwd.getpwnam("daemon")
    other = user.pw_gid + 1
    os.chown(data_dir.parent, user.pw_uid, other)
    holder = Holder(data_dir, _reaching_prefix(_Owner(user.pw_uid, other, user.pw_name)))
    assert holder.dsn()
    assert other == (data_dir / "postgres").stat().st_gid
    holder.leave()


async def test_a_server_that_dies_is_started_again(used_dir: Path) -> None:
    async with embedded_postgres(used_dir) as dsn:
        await ask(dsn, "create table t as select 7 as n")
        pid = postmaster(used_dir)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert 7 == await ask_until_answered(dsn, "select n from t")
        assert pid != postmaster(used_dir)
    assert not running(used_dir)


async def ask_until_answered(dsn: str, query: str) -> object:
    for _ in range(600):
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return await ask(dsn, query)
        await asyncio.sleep(0.1)
    raise TimeoutError("the server did not come back")


ALIVE = """
import sys
from pathlib import Path
from gateway.database.embedded import _Server, _find_binaries
print(_Server(Path(sys.argv[1]) / "postgres", _find_binaries()).is_alive())
"""


def test_a_living_server_that_cannot_be_looked_at_is_not_taken_for_dead(used_dir: Path) -> None:
    """As root of a container, which may not trace the processes of other users."""
    with embedded_server(used_dir):
        blind = ["setpriv", "--bounding-set=-sys_ptrace"] if os.geteuid() == 0 else []
        seen = subprocess.run(
            [*blind, sys.executable, "-c", ALIVE, used_dir.resolve()],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "True" == seen.stdout.strip()


async def test_root_and_the_owner_may_join_whoever_started_it(used_dir: Path) -> None:
    """Root runs ``check`` beside a service of another user, or that user's service behind it."""
    async with embedded_postgres(used_dir):
        let_in = (used_dir / "postgres/pg_ident.conf").read_text()
    for uid in (0, os.geteuid(), (used_dir / "postgres").stat().st_uid):
        assert f'gateway "{pwd.getpwuid(uid).pw_name}" filestore\n' in let_in


FOREIGN = {
    "PGPORT": "6543",
    "PGHOST": "elsewhere.test",
    "PGDATABASE": "other",
    "PGUSER": "other",
    "PGPASSWORD": "secret",
    "PGTARGETSESSIONATTRS": "standby",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nonexistent.crt",
    "PGSSLNEGOTIATION": "direct",
    "PGGSSLIB": "none",
    "PGSERVICE": "none",
    "PGSERVICEFILE": "/nonexistent.conf",
}


async def test_variables_for_another_postgresql_are_not_asked(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    async with embedded_postgres(used_dir) as dsn:
        assert 1 == await ask(dsn, "select 1")


def test_the_cause_of_a_failed_start_is_said(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.database.embedded._START_ATTEMPTS", 1)
    with embedded_server(used_dir):
        pass
    (used_dir / "postgres/PG_VERSION").write_text("17\n")
    with (
        pytest.raises(EmbeddedFailed, match=r"is \d+, newer than its data in .*, which is of 17"),
        embedded_server(used_dir),
    ):
        pass


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            ["creating ...", "could not write: No space left on device", "removing contents"],
            "could not write: No space left on device",
            id="a full disk, not what was done about it",
        ),
        pytest.param(
            ["FATAL:  bad file", "DETAIL:  for version 17", "Examine the log output."],
            "FATAL:  bad file; DETAIL:  for version 17",
            id="the error and its detail, not the advice",
        ),
        pytest.param(["what", "", ""], "what", id="the last words, if none is a sign"),
        pytest.param([], "no word of why", id="nothing"),
    ],
)
def test_of_what_was_said_the_cause_is_told(lines: list[str], expected: str) -> None:
    assert expected == _cause(lines)


def test_a_data_directory_with_a_line_break_is_refused_at_once(data_dir: Path) -> None:
    with (
        pytest.raises(EmbeddedFailed, match="control characters"),
        embedded_server(data_dir / "a\nb"),
    ):
        pass


def test_an_ordinary_user_gets_a_server_of_its_own(
    data_dir: Path, as_ordinary_user: list[str]
) -> None:
    holder = Holder(data_dir, as_ordinary_user)
    assert holder.dsn()
    assert 0 != (data_dir / "postgres").stat().st_uid
    assert data_dir.stat().st_uid == (data_dir / "postgres").stat().st_uid
    holder.leave()
    assert not running(data_dir)


def test_without_the_wheel_the_operator_is_told_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedFailed, match="GATEWAY_DATABASE_URL"), embedded_server(data_dir):
        pass


def test_the_socket_is_no_tcp_port(shared: str) -> None:
    folder = parse_qs(urlsplit(shared).query)["host"][0]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/.s.PGSQL.5432")


@pytest.mark.parametrize(("data", "relation"), [("9", "newer"), ("99", "older")])
def test_data_of_another_major_version_is_left_alone_and_the_way_is_said(
    used_dir: Path, data: str, relation: str
) -> None:
    (used_dir / "postgres" / "PG_VERSION").write_text(f"{data}\n")
    said = f", {relation} than its data .* of {data}: install"
    with pytest.raises(EmbeddedFailed, match=said), embedded_server(used_dir):
        pass
    assert not (used_dir / "postgres" / "postmaster.pid").exists()
