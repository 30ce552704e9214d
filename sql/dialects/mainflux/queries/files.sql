-- The orders that Mainflux lists files in, beside that by name. Their indexes (files_by_time,
-- files_by_class, files_by_format) are older than dialects' own migrations and stay where they
-- are, in the shared 0001_files.sql.

-- order: list_files time = (attributes ->> 'time')::float8
-- order: list_files class = (attributes ->> 'class')
-- order: list_files format = (attributes ->> 'format')
