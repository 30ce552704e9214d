-- Blobs that are not as they were stored. Their rows and bytes stay, and nobody is sent them, until
-- the bytes are right again (upkeep) or the file has others. What is condemned takes its entry along.
create table quarantine (
    blob_id  uuid primary key references blobs (id) on delete cascade,
    what     text not null check (what in ('missing', 'wrong size', 'damaged', 'unreadable')),
    detail   text not null,
    found_by text not null,
    found_at timestamptz not null default now()
);
create index quarantine_by_time on quarantine (found_at, blob_id);

create or replace view file_rows as
select f.id, f.kind, f.owner, f.name, f.blob_id, f.content_type, f.attributes, f.creator,
       f.created_at, f.modified_at, f.updated_at, b.size, b.sha256, b.md5,
       b.kind as blob_kind, b.owner as blob_owner, q.blob_id is not null as quarantined
from files f left join blobs b on b.id = f.blob_id left join quarantine q on q.blob_id = f.blob_id;

-- Every blob hashed once: by the service, at its pace, or for somebody who asked.
create table scrubs (
    id         bigint generated always as identity primary key,
    kind       text not null check (kind in ('service', 'command')),
    started_at timestamptz not null default now(),
    ended_at   timestamptz
);
create unique index scrubs_under_way on scrubs (kind) where ended_at is null;

-- Blobs by the first hexadecimal digit of their ids, and up to which one they were hashed. Whoever
-- holds the lease goes on from there; a lease that ran out is anybody's.
create table scrub_portions (
    scrub_id     bigint not null references scrubs (id) on delete cascade,
    portion      smallint not null,
    after        uuid not null,
    blobs        bigint not null default 0,
    bytes        bigint not null default 0,
    done         boolean not null default false,
    lease        uuid,
    leased_until timestamptz not null default '-infinity',
    primary key (scrub_id, portion)
);
