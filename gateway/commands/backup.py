"""``backup``, ``verify`` and ``restore``: bytes, rows and secret in a folder, and back.

A restore that was cut leaves a mark in the data directory; no other command takes what is there
for a deployment until the restore was repeated and ended well.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gateway.backup import work
from gateway.backup.sealing import seal, unseal
from gateway.backup.vault import (
    DUMP,
    PLAIN,
    SEALED,
    BackupSet,
    Vault,
    VaultFailed,
    write_durably,
)
from gateway.catalogue.postgres_store import move_store
from gateway.commands.existing import database, existing_database
from gateway.commands.maintenance import named
from gateway.database.dump import held_snapshot, is_empty, load_dump
from gateway.database.migrations import migrate
from gateway.database.pool import open_database
from gateway.model.errors import StartupFailed
from gateway.process.terminal import print_json, print_table, progress, size_text, wants_json
from gateway.settings.core import BadSettings, Settings
from gateway.settings.deployed import begin_restore, end_restore, is_deployed, restoring
from gateway.settings.secret import adopt_secrets, load_secrets
from gateway.upkeep.check import Finding, check, entries_of
from gateway.upkeep.quarantine import Ward
from gateway.upkeep.repair import mend
from gateway.wiring import (
    Deployment,
    direct_dsn,
    grace_periods,
    open_blobs,
    open_stores,
    store_identity,
)


def backup(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Add a backup to the folder, while the deployment serves."""
    if arguments.keep < 0:
        raise BadSettings(("--keep: is 0 for all, or how many backups to keep",))
    passphrase = _passphrase(arguments)
    vault = _outside(deployment.settings, arguments.folder)
    with existing_database(deployment) as dsn:
        vault.create()
        with vault.held():
            vault.tidy()
            made, findings = asyncio.run(_back_up(deployment, dsn, vault, passphrase))
            removed = vault.keep(arguments.keep) if arguments.keep else 0
    _tell(arguments, "backup", made, findings, removed=removed)
    return 1 if findings else 0


def verify(arguments: argparse.Namespace) -> int:
    """Hash all that a backup consists of. Needs no deployment."""
    vault = Vault(arguments.folder)
    vault.check()
    chosen = vault.chosen(arguments.moment)
    with progress() as shown:
        findings = asyncio.run(work.verify(vault, chosen, shown.tell))
    _tell(arguments, "verify", chosen, findings)
    return 1 if findings or chosen.contents.lost else 0


def restore(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Make a deployment of a backup, where there is none."""
    settings = deployment.settings
    vault = _outside(settings, arguments.folder)
    _check_vacant(settings)
    vault.check()
    chosen = vault.chosen(arguments.moment)
    secrets = _secrets_of(vault, chosen, _passphrase(arguments))
    _check_secret(settings, secrets[0])
    with vault.held(), database(settings) as dsn:
        findings = asyncio.run(_restore(deployment, dsn, vault, chosen, secrets))
    _tell(arguments, "restore", chosen, findings)
    return 1 if findings else 0


async def _back_up(
    deployment: Deployment, dsn: str, vault: Vault, passphrase: str | None
) -> tuple[BackupSet, list[Finding]]:
    settings = deployment.settings
    async with open_blobs(settings) as blobs, held_snapshot(direct_dsn(settings, dsn)) as snapshot:
        with progress() as shown:
            write = _secret_writer(load_secrets(settings), passphrase)
            return await work.back_up(vault, snapshot, blobs, write, shown.tell)


async def _restore(
    deployment: Deployment, dsn: str, vault: Vault, chosen: BackupSet, secrets: Sequence[str]
) -> list[Finding]:
    settings = deployment.settings
    begun, direct = restoring(settings), direct_dsn(settings, dsn)
    loaded = not await is_empty(direct)
    if loaded and begun != chosen.moment:
        raise StartupFailed("the database is not empty: restore into an empty one")
    if damaged := vault.damaged_files(chosen):
        raise VaultFailed(f"the backup of {chosen.moment} is damaged: {', '.join(damaged)}")
    begin_restore(settings, chosen.moment)
    async with open_blobs(settings) as blobs:
        with progress() as shown:
            lost = await work.restore_blobs(vault, chosen, blobs, shown.tell)
    if settings.secret is None:
        adopt_secrets(settings, *secrets)
    if not loaded:  # all of it in one transaction, so what is there is whole
        await load_dump(direct, vault.path(chosen, DUMP))
    await migrate(direct, deployment.sql)
    end_restore(settings)
    async with open_database(direct, deployment.sql) as opened:
        if (identity := store_identity(settings)) is not None:
            await move_store(opened, identity)  # the dump names the store that was backed up
    async with open_stores(deployment, dsn, adopt=False) as stores:
        ward = Ward(stores.blobs, stores.ledger, stores.quarantine)
        async for entry in entries_of(stores.quarantine):  # the backup may have better bytes
            await mend(ward, entry.blob)
        report = await check(
            stores.blobs, stores.ledger, grace_periods(settings), quarantine=stores.quarantine
        )
    found = {finding.blob_id for finding in report.findings}
    return [*report.findings, *(fault for fault in lost if fault.blob_id not in found)]


def _check_vacant(settings: Settings) -> None:
    """Raise ``BadSettings`` if there is a deployment, a half restored one excepted."""
    if is_deployed(settings) and restoring(settings) is None:
        raise BadSettings((f"{settings.data_dir} has a deployment: restore into an empty one",))


def _outside(settings: Settings, folder: Path) -> Vault:
    """The vault, which is none of what it is to save. Raises ``BadSettings``."""
    if folder.resolve().is_relative_to(settings.data_dir.resolve()):
        raise BadSettings((f"{folder} is inside {settings.data_dir}, and would be lost with it",))
    return Vault(folder)


def _passphrase(arguments: argparse.Namespace) -> str | None:
    if not arguments.passphrase_stdin:
        return None
    passphrase = sys.stdin.readline().rstrip("\n")
    if not passphrase:
        raise BadSettings(("the first line of stdin is empty: it is to be the passphrase",))
    return passphrase


def _secret_writer(secrets: Sequence[str], passphrase: str | None) -> Callable[[Path], None]:
    """The present secret and, while another takes its place, the one before, a line each."""
    text = "".join(f"{secret}\n" for secret in secrets)

    def write(draft: Path) -> None:
        if passphrase is None:
            write_durably(draft / PLAIN, text.encode())
        else:
            write_durably(draft / SEALED, seal(text, passphrase))

    return write


def _secrets_of(vault: Vault, chosen: BackupSet, passphrase: str | None) -> Sequence[str]:
    """Raises ``BadSettings`` if there is none that can be read."""
    if SEALED in chosen.files:
        if passphrase is None:
            raise BadSettings(("its secret is sealed: give --passphrase-stdin",))
        return unseal(vault.content(chosen, SEALED), passphrase).split()
    secrets = vault.content(chosen, PLAIN).decode("ascii", "replace").split()
    if not secrets:
        raise BadSettings(("the secret in the backup is damaged",))
    return secrets


def _check_secret(settings: Settings, secret: str) -> None:
    if settings.secret is not None and settings.secret.get_secret_value() != secret:
        raise BadSettings(
            ("GATEWAY_SECRET: is not that of the backup; leave it unset or set that",)
        )


def _tell(
    arguments: argparse.Namespace,
    command: str,
    chosen: BackupSet,
    findings: Iterable[Finding],
    **more: object,
) -> None:
    findings, contents = list(findings), chosen.contents
    if wants_json(forced=arguments.json):
        known = {"backup": chosen.moment, "blobs": contents.blobs, "bytes": contents.size, **more}
        lost = {"lost": contents.lost, "sound": not findings, "findings": [*map(named, findings)]}
        print_json({"command": command, **known, **lost})
        return
    if findings:
        rows = [[f.what, f.place or "-", f.blob_id or f.name or "-", f.detail] for f in findings]
        print_table(["what", "place", "blob", "detail"], rows)
    size = size_text(contents.size)
    sys.stdout.write(f"{command} of {chosen.moment}: {contents.blobs} blobs, {size}, ")
    sys.stdout.write(f"{len(findings)} findings\n")
    if command == "verify" and contents.lost:
        sys.stdout.write(f"  {contents.lost} blobs had no sound bytes when it was made\n")
