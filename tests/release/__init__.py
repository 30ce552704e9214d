"""What a release is installed from, and what is known of it."""
