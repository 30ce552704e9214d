"""Principals and roles."""

from __future__ import annotations

import pytest

from gateway.model.access import Action, GroupRole, Principal, PrincipalKind


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
