"""Every endpoint with every scope: the lists of the pages, cell by cell.

The lists are repeated here in full, as published, so that what the code makes of its few words is
compared with what somebody reads.
"""

from __future__ import annotations

import pytest

from gateway.dialects.losant.scopes import ACCEPTED
from tests.dialects.losant.conftest import Owner
from tests.tools.client import Client

APPLICATION = "all.Application all.Application.bounded all.Application.cli"
ORGANIZATION = "all.Organization all.Organization.bounded"
USER = "all.User all.User.bounded all.User.cli"
READ = "all.Application.read all.Organization.read all.User.read"
WRITERS = f"{APPLICATION} {ORGANIZATION} {USER}"
READERS = f"{WRITERS} {READ}"

PUBLISHED = {
    "privateFiles.get": f"{READERS} privateFiles.* privateFiles.get",
    "privateFiles.post": f"{WRITERS} privateFiles.* privateFiles.post",
    "privateFile.get": f"{READERS} privateFile.* privateFile.get",
    "privateFile.patch": f"{WRITERS} privateFile.* privateFile.patch",
    "privateFile.delete": f"{WRITERS} privateFile.* privateFile.delete",
    "privateFile.move": f"{WRITERS} privateFile.* privateFile.move",
    "privateFile.upload": f"{WRITERS} privateFile.* privateFile.upload",
    "application.get": f"{READERS} application.* application.get",
    "application.delete": "all.Application all.Application.bounded all.Organization "
    "all.Organization.bounded all.User all.User.bounded application.* application.delete",
    "applications.get": "all.Organization all.Organization.bounded all.Organization.read all.User "
    "all.User.bounded all.User.cli all.User.read applications.* applications.get only.Organization "
    "only.Organization.bounded only.Organization.read",
    "applications.post": "all.Organization all.Organization.bounded all.User all.User.bounded "
    "applications.* applications.post only.Organization only.Organization.bounded",
    "applicationApiTokens.get": "all.Application all.Application.bounded all.Application.read "
    "all.Organization all.Organization.bounded all.Organization.read all.User all.User.bounded "
    "all.User.read applicationApiTokens.* applicationApiTokens.get",
    "applicationApiTokens.post": "all.Application all.Organization all.User "
    "applicationApiTokens.* applicationApiTokens.post",
    "applicationApiToken.get": "all.Application all.Application.bounded all.Application.read "
    "all.Organization all.Organization.bounded all.Organization.read all.User all.User.bounded "
    "all.User.read applicationApiToken.* applicationApiToken.get",
    "applicationApiToken.patch": "all.Application all.Organization all.User applicationApiToken.* "
    "applicationApiToken.patch",
    "applicationApiToken.delete": "all.Application all.Organization all.User "
    "applicationApiToken.* applicationApiToken.delete",
}
EVERY_SCOPE = sorted({scope for scopes in PUBLISHED.values() for scope in scopes.split()})

# How each endpoint is asked; what it answers to who may is not 401 or 403, whatever else it is.
ABSENT = "0" * 24
REQUESTS: dict[str, tuple[str, str, object]] = {
    "privateFiles.get": ("GET", "/applications/{app}/privateFiles", ...),
    "privateFiles.post": ("POST", "/applications/{app}/privateFiles", {}),
    "privateFile.get": ("GET", f"/applications/{{app}}/privateFiles/{ABSENT}", ...),
    "privateFile.patch": ("PATCH", f"/applications/{{app}}/privateFiles/{ABSENT}", {}),
    "privateFile.delete": ("DELETE", f"/applications/{{app}}/privateFiles/{ABSENT}", {}),
    "privateFile.move": ("POST", f"/applications/{{app}}/privateFiles/{ABSENT}/move?name=x", {}),
    "privateFile.upload": ("POST", f"/applications/{{app}}/privateFiles/{ABSENT}/upload", {}),
    "application.get": ("GET", "/applications/{app}", ...),
    "application.delete": ("DELETE", f"/applications/{ABSENT}", {}),
    "applications.get": ("GET", "/applications", ...),
    "applications.post": ("POST", "/applications", {}),
    "applicationApiTokens.get": ("GET", "/applications/{app}/tokens", ...),
    "applicationApiTokens.post": (
        "POST",
        "/applications/{app}/tokens",
        {"scope": ["applicationApiTokens.post"]},
    ),
    "applicationApiToken.get": ("GET", f"/applications/{{app}}/tokens/{ABSENT}", ...),
    "applicationApiToken.patch": ("PATCH", f"/applications/{{app}}/tokens/{ABSENT}", {}),
    "applicationApiToken.delete": ("DELETE", f"/applications/{{app}}/tokens/{ABSENT}", {}),
}


@pytest.mark.parametrize("endpoint", sorted(PUBLISHED))
def test_the_table_is_the_published_list(endpoint: str) -> None:
    assert set(PUBLISHED[endpoint].split()) == ACCEPTED[endpoint]


def test_no_scope_that_only_reads_is_accepted_where_something_is_written() -> None:
    writing = [name for name in ACCEPTED if not name.endswith(".get")]
    assert 10 == len(writing)
    for endpoint in writing:
        assert [] == [s for s in ACCEPTED[endpoint] if s.endswith((".read", ".get"))]


async def test_each_endpoint_answers_to_each_scope_as_published(owner: Owner) -> None:
    """Log-ins with one scope each, so that those beyond an application can be tried, too."""
    client = owner.client
    wrong: list[str] = []
    for scope in EVERY_SCOPE:
        body = {
            "email": "owner@email.com",
            "password": "correct-horse",
            "requestedScopes": [scope],
        }
        said = await client.ask("POST", "/auth/user", body)
        assert 200 == said.status, said
        holder = Client(client.session, client.url, said.json["token"])
        for endpoint, (method, path, sent) in REQUESTS.items():
            answer = await holder.ask(method, path.format(app=owner.application), sent)
            allowed = scope in PUBLISHED[endpoint].split()
            if allowed == (answer.status in (401, 403)):
                wrong.append(f"{endpoint} {scope}: {answer.status}")
    assert [] == wrong


def test_each_endpoint_is_asked() -> None:
    assert set(ACCEPTED) == set(PUBLISHED) == set(REQUESTS)
