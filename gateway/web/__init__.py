"""HTTP mechanics that every dialect shares."""
