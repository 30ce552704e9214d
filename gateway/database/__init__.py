"""The database: the pool, migrations, the embedded server, news of changes."""
