"""Principals and roles."""

from __future__ import annotations

import math

import pytest

from gateway.model.access import Action, GroupRole, KeyLimits, Principal, PrincipalKind


def test_each_group_role_includes_the_ones_before_it_and_itself() -> None:
    ordered = [GroupRole.VIEWER, GroupRole.EDITOR, GroupRole.ADMIN, GroupRole.OWNER]
    for rank, role in enumerate(ordered):
        assert [r for r in ordered if role.includes(r)] == ordered[: rank + 1]


@pytest.mark.parametrize(
    ("role", "expected"),
    [("admin", True), ("Admin", False), ("user", False), ("thing", False), ("", False)],
)
def test_only_the_role_admin_administers(role: str, expected: bool) -> None:
    principal = Principal(PrincipalKind.USER, "1", role, allowed_roles=("admin",))
    assert expected is principal.is_admin


def test_the_hook_is_asked_about_three_actions() -> None:
    assert [str(action) for action in Action] == ["create", "read", "delete"]


LIMITS = {
    "none": KeyLimits(),
    "read only": KeyLimits(read_only=True),
    "a group": KeyLimits(group="g"),
    "a thing": KeyLimits(thing="t"),
    "a group, read only": KeyLimits(read_only=True, group="g"),
}
REACHED = {  # of the group g, another, the thing t, another, and what belongs to neither
    "none": "ggttn",
    "read only": "ggttn",
    "a group": "g----",
    "a thing": "--t--",
    "a group, read only": "g----",
}
ENTITIES = [("groups", "g"), ("groups", "x"), ("things", "t"), ("things", "x"), ("", "")]


@pytest.mark.parametrize("limits", LIMITS)
def test_a_key_reaches_what_its_limits_name_and_changes_nothing_if_it_only_reads(
    limits: str,
) -> None:
    key = LIMITS[limits]
    for (kind, entity), reached in zip(ENTITIES, REACHED[limits], strict=True):
        assert key.reach(reading=True, kind=kind, entity=entity) is (reached != "-")
        writes = reached != "-" and "read only" not in limits
        assert key.reach(reading=False, kind=kind, entity=entity) is writes


def test_a_kind_is_part_of_whom_a_limit_names() -> None:
    assert not KeyLimits(group="g").reach(reading=True, kind="things", entity="g")
    assert not KeyLimits(thing="t").reach(reading=True, kind="groups", entity="t")


def test_a_credential_without_an_end_has_for_ever_left() -> None:
    forever = Principal(PrincipalKind.USER, "1", "user")
    assert forever.seconds_left(5.0) == math.inf
    assert Principal(PrincipalKind.USER, "1", "user", valid_until=7.5).seconds_left(5.0) == 2.5
