-- Files, their blobs, and the scopes (things, groups, ...) that names live in.

-- A scope that exists. Removing one cascades to its files, and a commit that comes too
-- late fails on its foreign key instead of leaving a file that nobody owns.
create table scopes (
    kind  text not null,
    owner text not null,
    primary key (kind, owner)
);

-- Every blob that a row names, and every one that waits for the sweeper.
-- condemned_until: null while live; else the moment after which the bytes may go. A row
-- that outlives its bytes is a tombstone: its id can never be committed again.
create table blobs (
    id              uuid primary key,
    kind            text not null,
    owner           text not null,
    size            bigint not null check (size >= 0),
    sha256          bytea check (octet_length(sha256) = 32),
    md5             text,
    condemned_until timestamptz
);
create index blobs_condemned on blobs (condemned_until) where condemned_until is not null;
create index blobs_of_scope on blobs (kind, owner);

create table files (
    id           uuid primary key,
    kind         text not null,
    owner        text not null,
    name         text collate "C" not null,
    blob_id      uuid not null unique references blobs (id),
    content_type text not null,
    attributes   jsonb not null default '{}',
    creator      text not null,
    created_at   timestamptz not null default now(),
    modified_at  timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (kind, owner, name),
    foreign key (kind, owner) references scopes (kind, owner) on delete cascade
);
create index files_by_time   on files (kind, owner, ((attributes ->> 'time')::float8), id);
create index files_by_class  on files (kind, owner, (attributes ->> 'class'), id);
create index files_by_format on files (kind, owner, (attributes ->> 'format'), id);

-- How many files and bytes a scope has, in sixteen slices so that uploads into one
-- scope do not wait for each other's commit.
create table usage (
    kind  text not null,
    owner text not null,
    slice smallint not null,
    files bigint not null,
    bytes bigint not null,
    primary key (kind, owner, slice),
    foreign key (kind, owner) references scopes (kind, owner) on delete cascade
);

-- When bytes last left a name: a new file of that name must have a later Last-Modified.
create table vacated (
    kind        text not null,
    owner       text not null,
    name        text collate "C" not null,
    modified_at timestamptz not null,
    primary key (kind, owner, name),
    foreign key (kind, owner) references scopes (kind, owner) on delete cascade
);

-- What happened, written in the transaction in which it happened.
create table audit (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default now(),
    event   text not null,
    kind    text not null,
    owner   text not null,
    name    text not null,
    blob_id uuid,
    actor   text not null
);
create index audit_at on audit (at);

-- A file with what is known of its bytes.
create view file_rows as
select f.id, f.kind, f.owner, f.name, f.blob_id, f.content_type, f.attributes, f.creator,
       f.created_at, f.modified_at, f.updated_at, b.size, b.sha256, b.md5
from files f join blobs b on b.id = f.blob_id;
