"""The database: the pool, migrations, the embedded server, announced changes."""
