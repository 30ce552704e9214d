"""Settings: what the environment and files say, as one frozen value."""
