"""The device profiles, with a user's files for addresses."""
