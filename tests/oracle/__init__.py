"""Suite H: the gateway's reading rules against an independent model of RFC 9110."""
