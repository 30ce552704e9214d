"""What a user does with the client of openapi-python-client: ``use.py URL EMAIL PASSWORD FILE``."""

import sys
from io import BytesIO
from pathlib import Path

from generated import AuthenticatedClient, Client
from generated.api.mainflux_filestore import get_files, get_files_name, post_files
from generated.api.mainflux_things import post_things
from generated.api.mainflux_users import post_tokens
from generated.models import Account, FileForm, ThingDraft
from generated.types import File

url, email, password, path = sys.argv[1:]
content = Path(path).read_bytes()
token = post_tokens.sync(client=Client(url), body=Account(email, password)).token
user = AuthenticatedClient(url, token)
thing = post_things.sync(client=user, body=ThingDraft(name="generated")).things[0]
device = AuthenticatedClient(url, thing.key, prefix="Thing")
stored = post_files.sync(client=device, body=FileForm(File(BytesIO(content), Path(path).name)))
assert Path(path).name in [file.name for file in get_files.sync(client=device).files]
assert get_files_name.sync(stored.name, client=device).payload.read() == content
part = get_files_name.sync_detailed(stored.name, client=device, range_="bytes=8-11")
assert (part.status_code, part.content) == (206, content[8:12])
