"""What can be wrong with a signed form or link, by the code that S3's clients look for.

They join the family of ``model.errors``, so that whoever words refusals by kind has them as well.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.model.errors import Conflict, Forbidden, Malformed, TooLarge


class Coded:
    """A refusal that has a code in S3's vocabulary."""

    code: ClassVar[str]


class MalformedForm(Coded, Malformed):
    """The body is no form, or has no file."""

    code = "MalformedPOSTRequest"
    sentence = "The body of your POST request is not well-formed multipart/form-data."


class InvalidArgument(Coded, Malformed):
    """A field is absent, is there twice, or cannot be read."""

    code = "InvalidArgument"
    sentence = "Invalid Argument"


class InvalidPolicy(Coded, Malformed):
    """The policy cannot be read."""

    code = "InvalidPolicyDocument"
    sentence = "Invalid Policy: the policy cannot be read."


class FieldsTooLarge(Coded, TooLarge):
    """The fields before the file are more than a form may have."""

    code = "MaxPostPreDataLengthExceeded"
    sentence = "Your POST request fields preceding the upload file were too large."


class UnknownKey(Coded, Forbidden):
    """No signing key of ours has this id."""

    code = "InvalidAccessKeyId"
    sentence = "The access key id you provided does not exist in our records."


class WrongSignature(Coded, Forbidden):
    """The signature is not that of what it stands beside."""

    code = "SignatureDoesNotMatch"
    sentence = "The request signature we calculated does not match the signature you provided."


class NotAllowed(Coded, Forbidden):
    """What is asked for is not what was signed, or no longer."""

    code = "AccessDenied"
    sentence = "Access Denied"


class TooFewBytes(Coded, Malformed):
    """The file is smaller than the policy allows."""

    code = "EntityTooSmall"
    sentence = "Your proposed upload is smaller than the minimum allowed size"


class TooManyBytes(Coded, TooLarge):
    """The file is larger than the policy allows."""

    code = "EntityTooLarge"
    sentence = "Your proposed upload exceeds the maximum allowed size"


class Outrun(Coded, Conflict):
    """Another upload, or another change, was first."""

    code = "OperationAborted"
    sentence = "A conflicting operation on this file came first. Nothing was stored."
