"""Invitations and roles that wait, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.model.access import GroupRole


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody who has that e-mail may come: to an account, or to a role in a group or org.

    Of ``group_id`` and ``org_id`` one at most is set; ``role`` and ``user_id``, whose account has
    the e-mail, are set with them. ``inviter`` is an e-mail; ``None`` was a command.
    """

    id: UUID
    email: str
    inviter: str | None
    group_id: UUID | None
    org_id: UUID | None
    user_id: UUID | None
    role: GroupRole | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Issued:
    """An invitation with its token, which is shown this once."""

    invitation: Invitation
    token: str


@dataclass(frozen=True, slots=True)
class GroupOrOrg:
    """The group or the org in which a role is offered: one of the two."""

    group_id: UUID | None = None
    org_id: UUID | None = None
