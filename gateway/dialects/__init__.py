"""The API dialects that the gateway speaks, one module or package each."""
