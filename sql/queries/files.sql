-- name: find_file
-- $1 kind  $2 owner  $3 name
select * from file_rows where kind = $1 and owner = $2 and name = $3;

-- name: find_file_of_blob
-- $1 blob id
select * from file_rows where blob_id = $1;

-- Whoever changes files shares the scope's lock before anything else; whoever removes the scope
-- takes it alone (scopes.sql). With locks on rows only, each would wait for what the other
-- holds, and a steady stream of uploads would keep a removal waiting for ever.

-- name: add_file
-- One statement, so that a commit is one round trip.
-- $1 id  $2 kind  $3 owner  $4 name  $5 blob id  $6 size  $7 sha256  $8 md5
-- $9 content type  $10 attributes  $11 creator  $12 usage slice
with scope as (
    select pg_advisory_xact_lock_shared(hashtextextended($2::text || '/' || $3::text, 0))
), blob as (
    insert into blobs (id, kind, owner, size, sha256, md5)
    values ($5, $2, $3, $6, $7, $8)
), counted as (
    insert into usage (kind, owner, slice, files, bytes) values ($2, $3, $12, 1, $6)
    on conflict (kind, owner, slice)
    do update set files = usage.files + 1, bytes = usage.bytes + excluded.bytes
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    values ('created', $2, $3, $4, $5, $11)
), told as (
    insert into deliveries (webhook_id, event, body)
    select w.id, 'file.uploaded', jsonb_build_object(
        'event', 'uploaded', 'thing_id', w.thing_id, 'name', $4::text, 'size', $6::bigint,
        'sha256', encode($7::bytea, 'hex'), 'content_type', $9::text,
        'time', extract(epoch from clock_timestamp()))::text
    from webhooks w where $2 = 'things' and w.owner = $3 and w.files
)
insert into files (
    id, kind, owner, name, blob_id, content_type, attributes, creator, modified_at)
select $1, $2, $3, $4, $5, $9, $10, $11, greatest(
    clock_timestamp(),
    (select date_trunc('second', modified_at) + interval '1 second'
     from vacated where kind = $2 and owner = $3 and name = $4)
)
from scope
returning id, created_at, updated_at, greatest(
    modified_at, date_trunc('second', vacated_at(kind, owner, name)) + interval '1 second'
) as modified_at;

-- name: lock_file
-- $1 kind  $2 owner  $3 name
with scope as (
    select pg_advisory_xact_lock_shared(hashtextextended($1::text || '/' || $2::text, 0))
)
select f.id, f.blob_id from scope, files f
where f.kind = $1 and f.owner = $2 and f.name = $3 for update of f;

-- name: replace_file
-- The row is locked already. $1 id  $2 kind  $3 owner  $4 name  $5 blob id  $6 size
-- $7 sha256  $8 md5  $9 content type  $10 attributes to merge  $11 creator
-- $12 usage slice  $13 old blob id  $14 grace in seconds
with blob as (
    insert into blobs (id, kind, owner, size, sha256, md5)
    values ($5, $2, $3, $6, $7, $8)
), condemned as (
    update blobs set condemned_until = now() + make_interval(secs => $14)
    where id = $13 returning size
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    select $2, $3, $12, 0, $6 - condemned.size from condemned
    on conflict (kind, owner, slice) do update set bytes = usage.bytes + excluded.bytes
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    values ('replaced', $2, $3, $4, $5, $11)
), told as (
    insert into deliveries (webhook_id, event, body)
    select w.id, 'file.replaced', jsonb_build_object(
        'event', 'replaced', 'thing_id', w.thing_id, 'name', $4::text, 'size', $6::bigint,
        'sha256', encode($7::bytea, 'hex'), 'content_type', $9::text,
        'time', extract(epoch from clock_timestamp()))::text
    from webhooks w where $2 = 'things' and w.owner = $3 and w.files
), announced as (
    select pg_notify('gateway_changes', jsonb_build_array($2::text, $3::text, $4::text)::text)
)
update files set
    blob_id = $5, content_type = $9, attributes = attributes || $10, creator = $11,
    updated_at = clock_timestamp(),
    modified_at = greatest(
        clock_timestamp(), date_trunc('second', modified_at) + interval '1 second')
where id = $1 and exists (select from announced);

-- name: amend_file
-- The row is locked already. $1 id  $2 attributes to merge
with amended as (
    update files set attributes = attributes || $2, updated_at = clock_timestamp()
    where id = $1 returning kind, owner, name
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text) from amended;

-- name: remove_file
-- The row is locked already. $1 id  $2 blob id  $3 grace in seconds  $4 actor
-- $5 usage slice
with gone as (
    delete from files where id = $1 returning kind, owner, name, modified_at
), condemned as (
    update blobs set condemned_until = now() + make_interval(secs => $3)
    where id = $2 returning size
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    select gone.kind, gone.owner, $5, -1, -condemned.size from gone, condemned
    on conflict (kind, owner, slice)
    do update set files = usage.files - 1, bytes = usage.bytes + excluded.bytes
), vacating as (
    insert into vacated (kind, owner, name, modified_at)
    select kind, owner, name, modified_at from gone
    on conflict (kind, owner, name) do update set modified_at = excluded.modified_at
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'removed', kind, owner, name, $2, $4 from gone
), told as (
    insert into deliveries (webhook_id, event, body)
    select w.id, 'file.deleted', jsonb_build_object(
        'event', 'deleted', 'thing_id', w.thing_id, 'name', gone.name,
        'time', extract(epoch from clock_timestamp()))::text
    from gone, webhooks w where gone.kind = 'things' and w.owner = gone.owner and w.files
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text) from gone;

-- name: count_files
-- $1 kind  $2 owner
select coalesce(sum(files), 0)::bigint from usage where kind = $1 and owner = $2;

-- name: count_matching_files
-- $1 kind  $2 owner  $3 part of the name, or ''  $4 attributes that must be contained
select count(*) from files
where kind = $1 and owner = $2
  and ($3 = '' or position(lower($3) in lower(name)) > 0) and attributes @> $4;

-- name: list_files
-- Each order needs an index that yields it, in either direction; whoever registers one brings it.
-- $1 kind  $2 owner  $3 part of the name, or ''  $4 attributes that must be contained
-- $5 limit or null  $6 offset
select * from file_rows
where kind = $1 and owner = $2
  and ($3 = '' or position(lower($3) in lower(name)) > 0) and attributes @> $4
order by {order} limit $5 offset $6;

-- order: list_files name = name (unique)

-- name: condemn_orphan
-- Claims an id that no row has; a commit that names it later fails on the primary key.
-- A claim may be repeated: whoever made it may have died before it removed the bytes.
-- $1 blob id  $2 kind  $3 owner  $4 how long the tombstone stands, in seconds
insert into blobs (id, kind, owner, size, condemned_until)
values ($1, $2, $3, 0, now() + make_interval(secs => $4))
on conflict (id) do update set condemned_until = excluded.condemned_until
where blobs.sha256 is null;

-- name: due_garbage
-- $1 limit
select id, kind, owner from blobs where condemned_until < now()
order by condemned_until limit $1;

-- name: forget_blobs
-- $1 blob ids
delete from blobs where id = any($1::uuid[]) and condemned_until < now();

-- name: live_blobs_after
-- $1 blob id  $2 limit
select id, kind, owner, size, sha256, md5 from blobs
where id > $1 and condemned_until is null order by id limit $2;

-- name: known_blobs
-- Tombstones of orphans, which have no digest, do not count: their bytes belong to nobody.
-- $1 blob ids
select id from blobs where id = any($1::uuid[]) and sha256 is not null;

-- name: drop_old_vacancies
-- Only a second matters; an hour is generous.
delete from vacated where modified_at < now() - interval '1 hour';

-- name: probe_catalogue
select pg_is_in_recovery();
