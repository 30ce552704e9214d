"""The command line: how the service and the commands beside it are started.

Knows how the service is started, not what it does: that is ``gateway.app``, and what the other
commands do is in ``gateway.commands``.

Rule: exit status 0 is success, 1 a failure or a finding, 2 a configuration or command line
that cannot be used. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import aiofastnet
import uvloop

from gateway import __version__, app
from gateway.banner import banner
from gateway.commands import accounts, audit, backup, maintenance, moving, quotas, secret
from gateway.commands import database as rows
from gateway.commands.doctor.command import doctor
from gateway.commands.existing import check_own_database, check_restored, database
from gateway.commands.fleet import add_arguments, fleet
from gateway.commands.schema import SchemaBehind, bring_up_to_date, prepare
from gateway.dialects import DIALECTS
from gateway.model.errors import CatalogueUnavailable, GatewayError, StartupFailed
from gateway.process.logs import configure_logs
from gateway.process.malloc import share_arenas
from gateway.process.supervisor import ListenFailed, Supervisor, adopt, bind, die_with_parent
from gateway.settings.core import BadSettings, Settings, shown
from gateway.settings.handout import FIRST_PASSWORD, hand_out
from gateway.settings.secret import load_secret
from gateway.settings.sources import (
    adopt_installed_file,
    child_environment,
    handed_socket,
    metrics_directory,
)
from gateway.traffic.bulk import give_way
from gateway.web.dialect import Dialect
from gateway.wiring import Deployment, read_deployment

LOG: Final = logging.getLogger("gateway")
_NOT_AS_ROOT: Final = (
    "GATEWAY_ALLOW_ROOT: not as root where others can come: run it as a user of its own "
    "(deploy/systemd makes one), or set GATEWAY_ALLOW_ROOT=true"
)
_LATE_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0
Result = TypeVar("Result")
Run = Callable[[Deployment, argparse.Namespace], int]
Apart = Callable[[Sequence[Dialect], argparse.Namespace], int]
Add = Callable[..., argparse.ArgumentParser]


def main(
    argv: Sequence[str] | None = None,
    dialects: Sequence[Dialect] = DIALECTS,
    *,
    module: str = "gateway",
) -> int:
    """Run one command on a gateway of these dialects; its exit status.

    ``module`` is what workers are started as, with ``python -m``: it calls this in turn.
    """
    share_arenas()
    give_way()
    arguments = command_line().parse_args(argv)
    arguments.module = module
    signal.signal(signal.SIGTERM, _leave)
    return run(arguments, dialects)


def run(arguments: argparse.Namespace, dialects: Sequence[Dialect]) -> int:
    """Run the command that was parsed; its exit status."""
    try:
        if arguments.installed and (file := adopt_installed_file()):
            sys.stderr.write(f"filestore-gateway: settings of {file}\n")
        if arguments.apart is not None:
            apart: Apart = arguments.apart
            return apart(dialects, arguments)
        deployment = read_deployment(dialects)
        configure_logs(deployment.settings.log_level)
        status: int = arguments.run(deployment, arguments)
    except BadSettings as exc:
        sys.stderr.writelines(f"filestore-gateway: {problem}\n" for problem in exc.problems)
        return 2
    except (StartupFailed, GatewayError, ListenFailed) as exc:
        LOG.debug("failed", exc_info=exc)
        sys.stderr.write(f"filestore-gateway: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _leave(number: int, _frame: object) -> NoReturn:
    """SIGTERM while nothing is served yet: leave through every ``finally``."""
    sys.exit(128 + number)


def command_line() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog="filestore-gateway",
        description="Publish a firmware image once; every device gets exactly those bytes.",
        epilog="Settings come from GATEWAY_* variables; `filestore-gateway config` shows them.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    offered = parser.add_subparsers(required=True, metavar="command")
    add = offered.add_parser
    serve = _offer(add, "serve", _serve, "serve HTTP until SIGTERM")
    serve.set_defaults(installed=False)
    serve.add_argument(
        "--show-password",
        action="store_true",
        help="print a first password that is made up even if this is no terminal but a log",
    )
    _offer(add, "migrate", _migrate, "bring the database schema up to date")
    _offer_upkeep(add)
    _offer_backup(add)
    _offer_database(add)
    _offer_move(add)
    _offer(add, "config", _config, "show the effective settings, secrets masked")
    _offer_accounts(add)
    _offer_audit(add)
    _offer_secret(add)
    _offer_doctor(add)
    _offer_fleet(add)
    worker = add("worker")  # without help it is not listed
    worker.add_argument("--socket", type=int, required=True)
    worker.add_argument("--parent", type=int, required=True)
    worker.set_defaults(run=_worker, installed=False, apart=None)
    return parser


def _offer_upkeep(add: Add) -> None:
    check = _report(
        add, "check", maintenance.check, "report rows without blob, wrong sizes, orphans"
    )
    check.add_argument("--repair", action="store_true", help="mend what can be mended")
    check.add_argument(
        "--from",
        dest="copies",
        type=Path,
        metavar="BACKUPS",
        help="a folder of backups, whose copies take the place of damaged bytes",
    )
    _report(add, "sweep", maintenance.sweep, "remove leftovers, orphans and condemned blobs")
    scrub = _report(
        add, "scrub", maintenance.scrub, "hash every blob again; what is damaged is sent to nobody"
    )
    scrub.add_argument(
        "--bytes-per-second", type=int, default=0, help="no faster than this (default: no limit)"
    )


def _offer(add: Add, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """A command; unless it says otherwise, it looks for an installed gateway's settings."""
    parser = add(name, help=text, description=text)
    parser.set_defaults(run=run, installed=True, apart=None)
    return parser


def _report(add: Add, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """A command with a result: a table on a terminal, JSON elsewhere."""
    parser = _offer(add, name, run, text)
    parser.add_argument("--json", action="store_true", help="JSON on a terminal, too")
    return parser


def _offer_accounts(add: Add) -> None:
    text = "make, list, lock administrators, and reset a password"
    verbs = add("admin", help=text, description=text).add_subparsers(required=True, metavar="verb")
    _report(verbs.add_parser, "list", accounts.list_admins, "every administrator")
    _offer_invitations(verbs.add_parser)
    for name, run, what in (
        ("create", accounts.create, "make an administrator, of an account that is there, too"),
        ("reset-password", accounts.reset_password, "a new password; every login of it ends"),
    ):
        parser = _report(verbs.add_parser, name, run, what)
        parser.add_argument("email")
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="the password is the first line of stdin; else it is made up and shown once",
        )
        parser.add_argument("--end-keys", action="store_true", help="every key of it ends, too")
    for name, run, what in (
        ("lock", accounts.lock, "no credential of the account proves anything any more"),
        ("unlock", accounts.unlock, "its credentials prove again what they did"),
        ("end-sessions", accounts.end_all, "every login and every key of the account ends"),
    ):
        parser = _report(verbs.add_parser, name, run, what)
        parser.add_argument("email")
        if name == "lock":
            parser.add_argument("--things", action="store_true", help="nor do its things' keys")
    quota = _report(verbs.add_parser, "quota", quotas.quota, "what an account may have, and has")
    quota.add_argument("account", help="an e-mail, or users/<id>, things/<id>, groups/<id> ...")
    quota.add_argument("--set", metavar="bytes=10GiB,keys=5", help="limits; or =unlimited")
    quota.add_argument("--default", metavar="files,keys", help="for these the default again")
    quota.add_argument(
        "--trust", action="store_true", help="who registered by themselves is a newcomer no more"
    )


def _offer_invitations(add: Add) -> None:
    text = "a one-time token with which that e-mail registers, shown once"
    parser = _report(add, "invite", accounts.invite, text)
    parser.add_argument("email")
    parser.add_argument("--days", type=int, choices=range(1, 91), default=7, metavar="1..90")


def _offer_audit(add: Add) -> None:
    text = "write what happened, who did it and from where, as JSON lines"
    parser = _offer(add, "audit", audit.export, text)
    for name, what in (("--since", "from then on"), ("--until", "and before then")):
        parser.add_argument(name, type=audit.moment, metavar="TIME", help=f"{what}: RFC 3339")


def _offer_secret(add: Add) -> None:
    text = "put another secret in place of the deployment's, and keep everything"
    verbs = add("secret", help=text, description=text).add_subparsers(required=True, metavar="verb")
    _offer(verbs.add_parser, "rotate", secret.rotate, "a new generated secret, beside the old one")
    what = "seal what is kept under the previous secret with the present one, while serving"
    parser = _report(verbs.add_parser, "reseal", secret.seal_again, what)
    parser.add_argument(
        "--forget",
        action="store_true",
        help="then remove DATA_DIR/secret.previous: what was signed with it ends",
    )


def _offer_backup(add: Add) -> None:
    """``verify`` needs no deployment: it may run where the backups are."""
    made = _report(add, "backup", backup.backup, "add a backup of everything to a folder")
    made.add_argument("--keep", type=int, default=0, help="remove all but this many backups")
    verified = _report(add, "verify", _config, "hash all that a backup consists of")
    verified.set_defaults(apart=lambda _, arguments: backup.verify(arguments), installed=False)
    restored = _report(add, "restore", backup.restore, "make a deployment of a backup")
    for parser in (made, verified, restored):
        parser.add_argument("folder", type=Path, help="where the backups are")
    for parser in (verified, restored):
        parser.add_argument("--moment", help="of which backup (default: the newest)")
    for parser in (made, restored):
        parser.add_argument(
            "--passphrase-stdin",
            action="store_true",
            help="the first line of stdin seals the secret in the backup",
        )


def _offer_move(add: Add) -> None:
    text = "copy every blob to another store, while serving; repeat it, then --finish"
    parser = _report(add, "move-blobs", moving.move_blobs, text)
    parser.add_argument("--to", choices=("s3", "disk"), required=True)
    parser.add_argument(
        "--finish",
        action="store_true",
        help="with no gateway at work: copy the rest, and make that the deployment's store",
    )


def _offer_database(add: Add) -> None:
    text = "take the rows to another PostgreSQL, where the blobs stay"
    verbs = add("database", help=text, description=text)
    offered = verbs.add_subparsers(required=True, metavar="verb")
    dumped = "all rows into a file, while serving"
    loaded = "those rows into an empty database, while nobody serves"
    for name, run, what in (("dump", rows.dump, dumped), ("load", rows.load, loaded)):
        parser = _offer(offered.add_parser, name, run, what)
        parser.add_argument("file", type=Path, help="the dump")


def _offer_doctor(add: Add) -> None:
    """Not run as the others are: it has something to say of settings that cannot be read."""
    text = "say what is wrong with settings, database, disk, port, proxy, and what to do"
    parser = _report(add, "doctor", _config, text)
    parser.set_defaults(apart=doctor)
    parser.add_argument("--url", help="address of a proxy in front, to be tried, too")
    parser.add_argument("--path", help="a file to ask it for, such as /files/a.bin")
    parser.add_argument("--credential", help="what that takes, such as 'Thing <key>'")


def _offer_fleet(add: Add) -> None:
    """A client: it needs no deployment, and no setting."""
    text = "devices that download one file over links that break"
    parser = _report(add, "fleet", _config, text)
    parser.set_defaults(apart=lambda _, arguments: fleet(arguments), installed=False)
    add_arguments(parser)


def _serve(deployment: Deployment, arguments: argparse.Namespace) -> int:
    _ignore_hangup()
    settings = deployment.settings
    for name in deployment.configuration.unknown:
        likely = deployment.configuration.likely(name)
        LOG.warning("unknown setting ignored", extra={"variable": name, "did_you_mean": likely})
    check_restored(settings)
    _check_user(settings)
    load_secret(settings)  # once, before workers race for it, and before anything depends on it
    app.certificate_of(settings)  # what cannot be used is said once, and not by every worker
    handed = handed_socket()
    listening = bind(settings.host, settings.port) if handed is None else adopt(handed)
    with listening as sock, database(settings) as dsn:
        _prepare_patiently(deployment, dsn)
        _print_banner(deployment, dsn, sock, shown=arguments.show_password)
        if os.geteuid() == 0:
            LOG.warning("serving as root, which may do anything on this machine: for a trial only")
        if settings.workers > 1:
            return _supervise(settings, dsn, sock, arguments.module)
        _complete(app.serve(deployment, dsn, sock))
    return 0


def _check_user(settings: Settings) -> None:
    """Raise ``BadSettings`` for root where that is not allowed."""
    if os.geteuid() == 0 and not settings.root_is_allowed:
        raise BadSettings((_NOT_AS_ROOT,))


def _prepare_patiently(deployment: Deployment, dsn: str) -> None:
    """Have a database to serve from as soon as it answers, and is migrated.

    Raises ``CatalogueUnavailable`` if it does not in time, ``StartupFailed`` if it is none to
    serve from.
    """
    deadline = time.monotonic() + deployment.settings.database_start_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return _complete(prepare(deployment, dsn, _tell_migration))
        except (CatalogueUnavailable, SchemaBehind) as exc:
            if time.monotonic() + pause > deadline:
                raise
            LOG.warning("waiting for the database", extra={"cause": str(exc)})
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _ignore_hangup() -> None:
    """SIGHUP asks daemons to read their settings again, which we do not; it must not end us.

    (A certificate's files are read again: whoever does has a handler in place of this.)

    With a terminal it means that the terminal is gone, and we go with it.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _print_banner(deployment: Deployment, dsn: str, sock: socket.socket, *, shown: bool) -> None:
    """What to do first. What goes to a log says where the password is, and not what."""
    admin, file = _complete(accounts.ensure_admin(deployment, dsn)), None
    if admin is not None and admin.password and not shown and not sys.stdout.isatty():
        with contextlib.suppress(OSError):  # then it is shown: nobody else knows it
            file = hand_out(deployment.settings.data_dir, FIRST_PASSWORD, admin.password)
    sys.stdout.write(
        banner(_url(sock, deployment.settings), deployment.settings.prefix, admin, file)
    )
    sys.stdout.flush()


def _url(sock: socket.socket, settings: Settings) -> str:
    address = sock.getsockname()
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{host}:{address[1]}"


def _supervise(settings: Settings, dsn: str, sock: socket.socket, module: str) -> int:
    worker = [sys.executable, "-m", module, "worker"]
    supervisor = Supervisor(
        command=[*worker, "--socket", str(sock.fileno()), "--parent", str(os.getpid())],
        workers=settings.workers,
        inherited=sock.fileno(),
        environment=child_environment({"GATEWAY_DATABASE_URL": dsn}),
        grace_seconds=2 * settings.shutdown_seconds + _LATE_SECONDS,
        stop_listening=sock.close,
    )
    return asyncio.run(supervisor.run())


def _worker(deployment: Deployment, arguments: argparse.Namespace) -> int:
    die_with_parent(arguments.parent)
    _ignore_hangup()
    url = deployment.settings.database_url
    assert url is not None, "the parent sets it"
    with socket.socket(fileno=arguments.socket) as sock:
        dsn = url.get_secret_value()
        _complete(app.serve(deployment, dsn, sock, metrics_directory=metrics_directory()))
    return 0


def _migrate(deployment: Deployment, _: argparse.Namespace) -> int:
    check_own_database(deployment.settings)
    with database(deployment.settings) as dsn:
        _complete(bring_up_to_date(deployment, dsn, _print_migration))
    return 0


def _config(deployment: Deployment, _: argparse.Namespace) -> int:
    configuration = deployment.configuration
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `head` may have enough
    sys.stdout.writelines(f"{name}={value}\n" for name, value in shown(configuration).items())
    for name in configuration.unknown:
        likely = configuration.likely(name)
        guess = f"; did you mean {likely}?" if likely else ""
        sys.stderr.write(f"# ignored: {name} is no setting{guess}\n")
    return 0


def _print_migration(name: str) -> None:
    sys.stdout.write(f"{name}\n")


def _tell_migration(name: str) -> None:
    LOG.info("migrated", extra={"migration": name})


def _complete(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=aiofastnet.loop_factory(uvloop.new_event_loop)) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
