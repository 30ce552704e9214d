-- Files by the mark that their owner gave them, and when the shelf was open.

create index shelf_files_by_mark on files (kind, owner, ((attributes ->> 'mark')::bigint), id)
    where kind = 'shelves';

create table shelf_openings (
    id bigint generated always as identity primary key,
    opened_at timestamptz not null default now(),
    closed_at timestamptz
);
