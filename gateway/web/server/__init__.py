"""The fence around aiohttp: listening, connections, bodies past the parser."""
