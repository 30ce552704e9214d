"""All that the Mainflux dialect says of itself; a new noun is a module and two lines here."""

from __future__ import annotations

from typing import Final

from gateway.dialects.mainflux.openapi import (
    audit,
    channels,
    common,
    files,
    generations,
    groups,
    invitations,
    keys,
    messages,
    orgs,
    policies,
    quarantine,
    quotas,
    things,
    users,
    webhooks,
)
from gateway.web.openapi.vocabulary import Description

DESCRIPTION: Final = Description(
    chapters=(
        files.CHAPTER,
        users.CHAPTER,
        things.CHAPTER,
        channels.CHAPTER,
        groups.CHAPTER,
        invitations.CHAPTER,
        orgs.CHAPTER,
        policies.CHAPTER,
        keys.CHAPTER,
        quotas.CHAPTER,
        messages.CHAPTER,
        webhooks.CHAPTER,
        audit.CHAPTER,
        quarantine.CHAPTER,
        generations.CHAPTER,
    ),
    schemas={
        **common.SCHEMAS,
        **files.SCHEMAS,
        **users.SCHEMAS,
        **things.SCHEMAS,
        **channels.SCHEMAS,
        **groups.SCHEMAS,
        **invitations.SCHEMAS,
        **keys.SCHEMAS,
        **orgs.SCHEMAS,
        **policies.SCHEMAS,
        **quotas.SCHEMAS,
        **messages.SCHEMAS,
        **webhooks.SCHEMAS,
        **audit.SCHEMAS,
        **quarantine.SCHEMAS,
        **generations.SCHEMAS,
    },
    refusal=common.REFUSAL,
    path_parameters=common.PATH_PARAMETERS,
)
