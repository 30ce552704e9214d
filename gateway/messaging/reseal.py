"""What is sealed of webhooks, under the present secret of the deployment.

Rule: each webhook is a statement of its own, and is changed only if it is as it was read. So this
may be stopped and begun again at any moment, and deliveries go on meanwhile.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from gateway.database.pool import Database
from gateway.messaging.signing import WebhookSecrets

_AT_ONCE: Final = 50


async def reseal_webhooks(database: Database, secrets: WebhookSecrets) -> int:
    """Seal what is not yet under the present secret; of how many webhooks.

    Raises ``Failure`` for what was sealed under a secret that is not known.
    """
    count, after = 0, UUID(int=0)
    while found := await database.rows("webhooks_sealed_otherwise", secrets.mark, after, _AT_ONCE):
        for row in found:
            headers = secrets.open_headers(row["headers"], row["id"])
            count += await database.run(
                "reseal_webhook",
                row["id"],
                row["secret"],
                row["previous"],
                row["headers"],
                _resealed(secrets, row["secret"], row["id"]),
                _resealed(secrets, row["previous"], row["id"]),
                secrets.seal_headers(headers, row["id"]),
            )
        after = found[-1]["id"]
    return count


def _resealed(secrets: WebhookSecrets, sealed: bytes | None, webhook_id: UUID) -> bytes | None:
    if sealed is None:
        return None
    return secrets.seal_secret(secrets.open_secret(sealed, webhook_id), webhook_id)
