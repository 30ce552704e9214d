"""Forms for an S3 POST as boto3 makes them: what others sign, with our keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import orjson
from botocore.config import Config

from gateway.web.signing.sigv4 import AccessKey


def boto3_form(
    key: AccessKey,
    url: str,
    object_key: str,
    *,
    fields: Mapping[str, str] | None = None,
    conditions: Sequence[object] = (),
    seconds: int = 3600,
    region: str = "us-east-1",
) -> tuple[str, dict[str, str]]:
    """Where to post, and the fields; ``url`` ends with the bucket's name."""
    endpoint, _, bucket = url.rpartition("/")
    client = boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    form: dict[str, Any] = client.generate_presigned_post(
        bucket,
        object_key,
        Fields=dict(fields or {}),
        Conditions=list(conditions),
        ExpiresIn=seconds,
    )
    assert urlsplit(form["url"]).path == urlsplit(url).path
    return form["url"], dict(form["fields"])


def policy_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """What the form's policy says."""
    named = {name.lower(): value for name, value in fields.items()}
    policy: dict[str, Any] = orjson.loads(base64.b64decode(named["policy"]))
    return policy


def signed_by_hand(key: AccessKey, fields: Mapping[str, str], policy: object) -> dict[str, str]:
    """The fields with another policy, signed as the published algorithm has it, step by step."""
    encoded = base64.b64encode(
        policy if isinstance(policy, bytes) else orjson.dumps(policy)
    ).decode()
    kept = {n: v for n, v in fields.items() if n.lower() not in ("policy", "x-amz-signature")}
    credential = next(v for n, v in fields.items() if n.lower() == "x-amz-credential")
    _, day, region, service, end = credential.split("/")
    signing = b"AWS4" + key.secret.encode()
    for part in (day, region, service, end):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, encoded.encode(), hashlib.sha256).hexdigest()
    return {**kept, "policy": encoded, "x-amz-signature": signature}
