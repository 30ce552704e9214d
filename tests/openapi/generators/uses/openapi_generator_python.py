"""What a user does with the Python client of openapi-generator: ``use.py URL EMAIL PASSWORD FILE``."""

import sys
from pathlib import Path

import openapi_client
from openapi_client import MainfluxFilestoreApi, MainfluxThingsApi, MainfluxUsersApi

url, email, password, path = sys.argv[1:]
content = Path(path).read_bytes()
settings = openapi_client.Configuration(host=url)
with openapi_client.ApiClient(settings) as client:
    account = openapi_client.Account(email=email, password=password)
    settings.access_token = MainfluxUsersApi(client).post_tokens(account).token
    draft = openapi_client.PostThingsRequest(openapi_client.ThingDraft(name="generated"))
    thing = MainfluxThingsApi(client).post_things(draft).things[0]
device = openapi_client.Configuration(
    host=url, api_key={"thingKey": thing.key}, api_key_prefix={"thingKey": "Thing"}
)
with openapi_client.ApiClient(device) as client:
    files = MainfluxFilestoreApi(client)
    stored = files.post_files((Path(path).name, content))
    assert Path(path).name in [file.name for file in files.get_files().files]
    assert files.get_files_name(stored.name) == content
    assert files.get_files_name(stored.name, range="bytes=8-11") == content[8:12]
