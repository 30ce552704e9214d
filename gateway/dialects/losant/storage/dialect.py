"""The storage that forms and links lead to, as a dialect of its own."""

from __future__ import annotations

from typing import Final

from gateway.dialects.losant.storage import download, upload
from gateway.dialects.losant.storage.context import BUCKET, STORAGE, UPLOAD_PATH, Storage
from gateway.dialects.losant.storage.openapi import DESCRIPTION
from gateway.dialects.losant.storage.rendering import STATUSES, render_error
from gateway.dialects.losant.storage.settings import StorageSettings
from gateway.identity.secrets import dialect_key
from gateway.web.dialect import Dialect, DialectContext, NginxPart, Route
from gateway.web.signing.links import LinkSigner
from gateway.web.signing.sigv4 import Authority, access_key

_NAME: Final = "losant-storage"
_LINK: Final = f"{UPLOAD_PATH}/{{application}}/{{file}}/{{name}}"


def _prepare(context: DialectContext) -> None:
    own = context.settings(StorageSettings)
    context.app[STORAGE] = Storage(
        Authority([access_key(key) for key in _keys(context, own, "forms")], BUCKET),
        LinkSigner(_keys(context, own, "links")),
        own.form_seconds,
        own.redirects,
    )


def _keys(context: DialectContext, own: StorageSettings, purpose: str) -> tuple[bytes, ...]:
    """Those that sign, the newest first."""
    told = (own.signing_secret, own.signing_secret_previous)
    keys = tuple(
        dialect_key(secret.get_secret_value().encode(), _NAME, purpose)
        for secret in told
        if secret is not None
    )
    return keys if own.signing_secret is not None else (*context.keys_for(purpose), *keys)


STORAGE_DIALECT: Final = Dialect(
    name=_NAME,
    routes=(
        Route("POST", UPLOAD_PATH, upload.receive),
        Route("POST", f"{UPLOAD_PATH}/", upload.receive),
        Route("GET", _LINK, download.download),
        Route("HEAD", _LINK, download.download),
    ),
    render_error=render_error,
    statuses=STATUSES,
    owns=(UPLOAD_PATH,),
    description=DESCRIPTION,
    settings=StorageSettings,
    nginx=NginxPart(locations=(BUCKET,), files=(f"{BUCKET}/[^/]+/[^/]+/[^/]+",)),
    prepare=_prepare,
)
