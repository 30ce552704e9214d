"""The commands, run as processes beside a gateway."""
