"""``secret rotate`` and ``secret reseal``: another secret for a deployment, and nothing is lost.

Rule: each says what is to be done next, and neither takes anything away that is still needed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from gateway.commands.existing import existing_database, existing_stores
from gateway.database.pool import open_database
from gateway.identity.reseal import Resealed, reseal
from gateway.identity.secrets import Keyring, webhook_seal
from gateway.messaging.reseal import reseal_webhooks
from gateway.messaging.signing import WebhookSecrets
from gateway.process.terminal import print_json, wants_json
from gateway.settings.core import BadSettings
from gateway.settings.deployed import is_deployed
from gateway.settings.secret import forget_previous, load_secrets, rotate_secret
from gateway.wiring import Deployment


def rotate(deployment: Deployment, _: argparse.Namespace) -> int:
    """A new generated secret; the one before is kept and believed."""
    settings = deployment.settings
    if not is_deployed(settings):
        raise BadSettings((f"no deployment in {settings.data_dir}",))
    previous = rotate_secret(settings)
    sys.stdout.write(
        f"There is a new secret; the one before is in {previous}.\n"
        "Next: restart `serve` (every gateway of this deployment), then `secret reseal`.\n"
    )
    return 0


def seal_again(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Keep under the present secret what is kept under the previous one. Status 1 for conflicts."""
    with existing_database(deployment) as dsn:
        done, webhooks = asyncio.run(_reseal(deployment, dsn))
    forgotten = not done.conflicts and arguments.forget and forget_previous(deployment.settings)
    _tell(done, webhooks, as_json=arguments.json, forgotten=forgotten)
    return 1 if done.conflicts else 0


async def _reseal(deployment: Deployment, dsn: str) -> tuple[Resealed, int]:
    """Things, and webhooks: how many. Those come first, for things settle it."""
    known = [secret.encode() for secret in load_secrets(deployment.settings)]
    keyring, webhooks = Keyring(*known), WebhookSecrets(webhook_seal(*known))
    async with (
        existing_stores(deployment, dsn),  # it refuses a database of another deployment
        open_database(dsn, deployment.sql, connections=2) as database,
    ):
        count = await reseal_webhooks(database, webhooks)
        return await reseal(database, keyring), count


def _tell(done: Resealed, webhooks: int, *, as_json: bool, forgotten: bool) -> None:
    conflicts = [str(thing) for thing in done.conflicts]
    if wants_json(forced=as_json):
        print_json(
            {
                "things": done.things,
                "webhooks": webhooks,
                "conflicts": conflicts,
                "api_keys_of_previous": done.api_keys,
                "forgotten": forgotten,
            }
        )
        return
    sys.stdout.write(
        f"{done.things} things and {webhooks} webhooks have theirs under the present secret now.\n"
    )
    for thing in conflicts:
        sys.stdout.write(f"Not thing {thing}: another thing has its key. Give it another one.\n")
    if done.api_keys:
        sys.stdout.write(
            f"{done.api_keys} API keys are signed with the previous secret and end with it: issue "
            "new ones before you take it away.\n"
        )
    if forgotten:
        sys.stdout.write("The previous secret is forgotten: restart `serve`.\n")
