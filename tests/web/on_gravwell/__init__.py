"""The suites beside, of user files: another credential, other addresses, refusals of plain text."""
