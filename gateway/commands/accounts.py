"""Accounts from the command line: the first administrator, and a way back in.

Whoever can run a command on the gateway's machine can read its database, so there is no further
right to ask for.

Rule: a password is read from stdin or made up and shown once; never from the command line, which
every user of the machine can read.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from gateway.commands.existing import existing_database, existing_stores
from gateway.identity.records.invitations import Issued
from gateway.identity.records.users import NewAdmin, User
from gateway.identity.registry import Registry
from gateway.identity.users import Users
from gateway.model.errors import Malformed, NotFound
from gateway.process.terminal import print_json, print_table, wants_json
from gateway.wiring import Deployment, open_stores

Result = TypeVar("Result")


async def ensure_admin(deployment: Deployment, dsn: str) -> NewAdmin | None:
    """Create the first administrator, unless there is one."""
    settings, password = deployment.settings, deployment.settings.admin_password
    async with open_stores(deployment, dsn) as stores:
        return await stores.registry.users.ensure_admin(
            settings.admin_email, password.get_secret_value() if password else None
        )


def create(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Make an administrator of a new account, or of one that is there, whose keys end."""
    return _with_password(deployment, arguments, Users.appoint)


def reset_password(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Give an account a new password; every login of it ends."""
    work = partial(Users.reset_password, end_keys=arguments.end_keys)
    return _with_password(deployment, arguments, work)


def invite(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """A one-time token with which that e-mail registers."""

    async def invited(registry: Registry) -> Issued:
        return await registry.invitations.invite(None, arguments.email, arguments.days * 86_400)

    issued = _run_registry(deployment, invited, arguments)
    made = issued.invitation
    _tell(
        {
            "email": made.email,
            "token": issued.token,
            "expires_at": made.expires_at.isoformat(timespec="seconds"),
            "use": "POST /users with this as `invitation`, beside email and password",
        },
        arguments,
    )
    return 0


def end_all(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Every login and every key of the account ends."""
    user = _run(deployment, lambda users: users.end_all_by_email(arguments.email), arguments)
    _tell({"email": user.email, "id": str(user.id)}, arguments)
    return 0


def list_admins(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Every administrator."""
    admins = _run(deployment, Users.list_admins)
    rows = [{"email": a.email, "id": str(a.id), "locked": a.locked} for a in admins]
    if wants_json(forced=arguments.json):
        print_json(rows)
    else:
        print_table(["email", "id", "locked"], ([*row.values()] for row in rows))
    return 0


def lock(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """No credential of the account proves anything any more."""
    return _set_locked(deployment, arguments, locked=True)


def unlock(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Its credentials prove again what they did."""
    return _set_locked(deployment, arguments, locked=False)


def _set_locked(deployment: Deployment, arguments: argparse.Namespace, *, locked: bool) -> int:
    things = locked and arguments.things
    user = _run(
        deployment,
        lambda users: users.lock_by_email(arguments.email, locked=locked, things=things),
        arguments,
    )
    said = {"email": user.email, "id": str(user.id), "locked": locked}
    _tell({**said, "things": True} if things else said, arguments)
    return 0


def _with_password(
    deployment: Deployment,
    arguments: argparse.Namespace,
    work: Callable[[Users, str, str], Awaitable[User]],
) -> int:
    given = _password_of_stdin() if arguments.password_stdin else None
    password = given or secrets.token_urlsafe(18)
    user = _run(deployment, lambda users: work(users, arguments.email, password), arguments)
    said = {"email": user.email, "id": str(user.id)}
    _tell(said if given else {**said, "password": password}, arguments)
    return 0


def _password_of_stdin() -> str:
    """The first line of stdin. Raises ``Malformed`` if there is none."""
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Malformed("no password on stdin")
    return password


def _tell(said: Mapping[str, object], arguments: argparse.Namespace) -> None:
    if wants_json(forced=arguments.json):
        print_json(said)
    else:
        for name, value in said.items():
            sys.stdout.write(f"{name}: {value}\n")


def _run(
    deployment: Deployment,
    work: Callable[[Users], Awaitable[Result]],
    arguments: argparse.Namespace | None = None,
) -> Result:
    return _run_registry(deployment, lambda registry: work(registry.users), arguments)


def _run_registry(
    deployment: Deployment,
    work: Callable[[Registry], Awaitable[Result]],
    arguments: argparse.Namespace | None = None,
) -> Result:
    async def done(dsn: str) -> Result:
        async with existing_stores(deployment, dsn) as stores:
            try:
                return await work(stores.registry)
            except NotFound as exc:
                named = "" if arguments is None else f" {arguments.email}"
                raise NotFound(f"no account{named}") from exc

    with existing_database(deployment) as dsn:
        return asyncio.run(done(dsn))
