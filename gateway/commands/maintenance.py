"""``check``, ``scrub`` and ``sweep``: whether a deployment is sound, and what it can do without.

A report is one JSON object for a program and a table for a person. Exit status 1 means that
something was found, and the report names it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from gateway.backup.copies import VaultCopies
from gateway.backup.vault import Vault
from gateway.catalogue.damage import ScrubKind
from gateway.commands.existing import existing_database, existing_stores
from gateway.model.file import Blob
from gateway.process.terminal import print_json, print_table, progress, wants_json
from gateway.settings.core import BadSettings
from gateway.upkeep import check as upkeep
from gateway.upkeep.check import Finding, Report
from gateway.upkeep.quarantine import Ward
from gateway.upkeep.repair import Copies
from gateway.upkeep.repair import repair as mend_all
from gateway.upkeep.scrub import Scrubber
from gateway.upkeep.sweep import SweepReport
from gateway.upkeep.sweep import sweep as sweep_stores
from gateway.wiring import Deployment, Stores, grace_periods


def check(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Report what does not fit together; with ``--repair``, mend what can be mended."""
    copies = _copies(arguments)
    with existing_database(deployment) as dsn:
        report = asyncio.run(_check(deployment, dsn, copies, repair=arguments.repair))
    return _tell("check", report, as_json=arguments.json)


def scrub(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Hash every blob again, or go on with that; what is damaged goes into quarantine."""
    with existing_database(deployment) as dsn:
        report = asyncio.run(_scrub(deployment, dsn, arguments.bytes_per_second))
    return _tell("scrub", report, as_json=arguments.json)


def sweep(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Remove what nobody needs any more."""
    with existing_database(deployment) as dsn:
        report = asyncio.run(_sweep(deployment, dsn))
    removed = {
        "incoming": report.incoming,
        "orphans": report.orphans,
        "garbage": report.garbage,
    }
    if wants_json(forced=arguments.json):
        print_json({**removed, "listed": report.listed})
    else:
        print_table(["removed", "how many"], removed.items())
    return 0


async def _check(
    deployment: Deployment, dsn: str, copies: Copies | None, *, repair: bool
) -> Report:
    grace = grace_periods(deployment.settings)
    async with existing_stores(deployment, dsn) as stores:
        ward = _ward(stores)
        with progress() as shown:
            report = await upkeep.check(
                stores.blobs, stores.ledger, grace, shown.tell, quarantine=ward.quarantine
            )
        if repair and report.findings:
            return await mend_all(ward, grace, report, copies)
    return report


async def _scrub(deployment: Deployment, dsn: str, bytes_per_second: int) -> Report:
    seen = upkeep.Report()
    async with existing_stores(deployment, dsn) as stores:
        ward = _ward(stores)
        with progress() as shown:
            told = _Told(shown.tell)
            scrubber = Scrubber(ward, stores.scrubs, bytes_per_second, told.add)
            done = await scrubber.finish(await stores.scrubs.begin(ScrubKind.COMMAND))
        async for entry in upkeep.entries_of(ward.quarantine):
            seen.findings.append(upkeep.finding_of(entry))
    seen.blobs = done.blobs
    return seen


class _Told:
    """Counts blobs and bytes for whoever watches."""

    def __init__(self, watch: upkeep.Watch) -> None:
        self._watch = watch
        self._blobs = self._size = 0

    def add(self, blob: Blob) -> None:
        """One more was hashed."""
        self._blobs, self._size = self._blobs + 1, self._size + blob.size
        self._watch(self._blobs, self._size)


def _ward(stores: Stores) -> Ward:
    return Ward(stores.blobs, stores.ledger, stores.quarantine)


def _copies(arguments: argparse.Namespace) -> Copies | None:
    """Where good copies are to be looked for. Raises ``BadSettings``, ``VaultFailed``."""
    if arguments.copies is None:
        return None
    if not arguments.repair:
        raise BadSettings(("--from: only with --repair",))
    vault = Vault(arguments.copies)
    vault.check()
    return VaultCopies(vault)


async def _sweep(deployment: Deployment, dsn: str) -> SweepReport:
    async with existing_stores(deployment, dsn) as stores:
        grace = grace_periods(deployment.settings)
        report = await sweep_stores(stores.blobs, stores.ledger, grace)
        await stores.messaging.tidy()
        await stores.registry.tidy()
    return report


def _tell(command: str, report: Report, *, as_json: bool) -> int:
    """Print the report; 1 if something is wrong that was not mended."""
    if wants_json(forced=as_json):
        _print_for_a_program(command, report)
    else:
        _print_for_a_person(command, report)
    return 1 if report.findings else 0


def _print_for_a_program(command: str, report: Report) -> None:
    print_json(
        {
            "command": command,
            "blobs": report.blobs,
            "listed": report.listed,
            "sound": not report.findings,
            "findings": [named(finding) for finding in report.findings],
            "repaired": [named(finding) for finding in report.repaired],
        }
    )


def print_findings(found: Sequence[Finding], mended: Sequence[Finding]) -> None:
    """A line of a table for each, for a person."""
    rows = [_row(finding, "found") for finding in found]
    rows += [_row(finding, "mended") for finding in mended]
    if rows:
        print_table(["", "what", "scope", "name", "blob", "detail"], rows)


def _print_for_a_person(command: str, report: Report) -> None:
    print_findings(report.findings, report.repaired)
    sys.stdout.write(f"{command}: {report.blobs} blobs, {len(report.findings)} findings\n")
    for remedy in sorted({f"{f.what}: {f.what.remedy}" for f in report.findings}):
        sys.stdout.write(f"  {remedy}\n")


def named(finding: Finding) -> dict[str, str | None]:
    """A finding for a program."""
    return {
        "what": finding.what,
        "scope": _text(finding.scope),
        "name": finding.name,
        "blob": _text(finding.blob_id),
        "place": f"{finding.place}/{finding.blob_id}" if finding.place else None,
        "detail": finding.detail,
        "remedy": finding.what.remedy,
    }


def _row(finding: Finding, state: str) -> list[str]:
    known = named(finding)
    scope = known["scope"] or _text(finding.place)
    cells = (scope, known["name"], known["blob"], finding.detail)
    return [state, finding.what, *("-" if cell is None else cell for cell in cells)]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
