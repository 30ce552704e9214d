"""Who asks, and who decides: the registry of identities and the auth hook."""
