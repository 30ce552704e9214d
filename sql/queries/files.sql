-- Files, and what changes them. What these statements yield as a file has the columns of file_rows.

-- name: find_file
-- $1 kind  $2 owner  $3 name
select * from file_rows where kind = $1 and owner = $2 and name = $3;

-- name: find_file_in_scopes
-- In the first of these scopes that has it. $1 kinds  $2 owners  $3 name
select f.*
from unnest($1::text[], $2::text[]) with ordinality as s (kind, owner, place)
join file_rows f on f.kind = s.kind and f.owner = s.owner and f.name = $3
order by s.place limit 1;

-- name: find_file_by_id
-- $1 id
select * from file_rows where id = $1;

-- name: find_file_of_blob
-- $1 blob id
select * from file_rows where blob_id = $1;

-- Whoever changes files shares the scope's lock before anything else; whoever removes the scope
-- takes it alone (scopes.sql). With locks on rows only, each would wait for what the other
-- holds, and a steady stream of uploads would keep a removal waiting for ever. Who shares the
-- locks of several scopes takes them in order.

-- name: add_file
-- One statement, so that a commit is one round trip. Without a blob nobody is told: there are no
-- bytes yet. $1 id  $2 kind  $3 owner  $4 name  $5 blob id or null  $6 size  $7 sha256  $8 md5
-- $9 kind and $10 owner of the scope that the blob lies in  $11 content type  $12 attributes
-- $13 creator  $14 usage slice
with scope as (
    select pg_advisory_xact_lock_shared(hashtextextended($2::text || '/' || $3::text, 0))
), told as (
    select tell_of_file('created', $2, $3, $4, $6, $7, $11) where $5::uuid is not null
), blob as (
    insert into blobs (id, kind, owner, size, sha256, md5)
    select $5::uuid, $9::text, $10::text, $6::bigint, $7::bytea, $8::text where $5::uuid is not null
), settled as (
    delete from reservations where id = $5
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    values ($2, $3, $14, 1, coalesce($6, 0))
    on conflict (kind, owner, slice)
    do update set files = usage.files + 1, bytes = usage.bytes + excluded.bytes
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    values ('created', $2, $3, $4, $5, $13)
)
insert into files (
    id, kind, owner, name, blob_id, content_type, attributes, creator, modified_at)
select $1, $2, $3, $4, $5, $11, $12, $13, greatest(
    clock_timestamp(),
    (select date_trunc('second', modified_at) + interval '1 second'
     from vacated where kind = $2 and owner = $3 and name = $4)
)
from scope left join told on true
returning id, created_at, updated_at, greatest(
    modified_at, date_trunc('second', vacated_at(kind, owner, name)) + interval '1 second'
) as modified_at;

-- name: add_files
-- The same for many, each with a blob: all or none. Names and accounts are locked in order, as
-- whoever else adds many does. $1 to $14: as above, an array of each
with new as (
    select * from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bytea[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::text[], $14::smallint[])
        as n (id, kind, owner, name, blob_id, size, sha256, md5, blob_kind, blob_owner,
              content_type, attributes, creator, slice)
), scope as (
    select count(pg_advisory_xact_lock_shared(hashtextextended(scope, 0)))
    from (select distinct kind || '/' || owner as scope from new order by 1) scopes
), told as (
    select count(tell_of_file('created', kind, owner, name, size, sha256, content_type)) from new
), blob as (
    insert into blobs (id, kind, owner, size, sha256, md5)
    select blob_id, blob_kind, blob_owner, size, sha256, md5 from new
), settled as (
    delete from reservations where id = any ($5)
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    select kind, owner, min(slice), count(*), sum(size) from new
    group by kind, owner order by kind, owner
    on conflict (kind, owner, slice)
    do update set files = usage.files + excluded.files, bytes = usage.bytes + excluded.bytes
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'created', kind, owner, name, blob_id, creator from new
)
insert into files (
    id, kind, owner, name, blob_id, content_type, attributes, creator, modified_at)
select n.id, n.kind, n.owner, n.name, n.blob_id, n.content_type, n.attributes, n.creator, greatest(
    clock_timestamp(), date_trunc('second', v.modified_at) + interval '1 second'
)
from scope cross join told cross join new n
left join vacated v on v.kind = n.kind and v.owner = n.owner and v.name = n.name
order by n.kind, n.owner, n.name
returning id, created_at, updated_at, greatest(
    modified_at, date_trunc('second', vacated_at(kind, owner, name)) + interval '1 second'
) as modified_at;

-- name: lock_file
-- $1 kind  $2 owner  $3 name
with scope as (
    select pg_advisory_xact_lock_shared(hashtextextended($1::text || '/' || $2::text, 0))
)
select f.id, f.kind, f.owner, f.name, f.blob_id from scope, files f
where f.kind = $1 and f.owner = $2 and f.name = $3 for update of f;

-- name: share_scopes_of_files
-- The first step towards files that are named by id, of which lock_files is the second. A file
-- may have moved in between: it is in one of these scopes, or all is begun again.
-- $1 file ids  $2 more scopes, as kind/owner
select scope, pg_advisory_xact_lock_shared(hashtextextended(scope, 0))
from (
    select kind || '/' || owner as scope from files where id = any ($1::uuid[])
    union select unnest($2::text[]) order by 1
) scopes;

-- name: lock_files
-- $1 file ids
select id, kind, owner, name, blob_id from files
where id = any ($1::uuid[]) order by id for update;

-- name: replace_file
-- The row is locked already; it may have had no blob yet. $1 id  $2 kind  $3 owner  $4 name
-- $5 blob id  $6 size  $7 sha256  $8 md5  $9 kind and $10 owner of the blob's scope
-- $11 content type  $12 attributes to merge  $13 creator  $14 usage slice
-- $15 old blob id or null  $16 grace in seconds
with blob as (
    insert into blobs (id, kind, owner, size, sha256, md5)
    values ($5, $9, $10, $6, $7, $8)
), settled as (
    delete from reservations where id = $5
), condemned as (
    update blobs set condemned_until = now() + make_interval(secs => $16),
        charged_kind = $2, charged_owner = $3
    where id = $15 returning size
), counted as (
    insert into usage (kind, owner, slice, files, bytes, condemned)
    select $2, $3, $14, 0, $6 - old.size, old.size
    from (select coalesce(sum(size), 0)::bigint as size from condemned) old
    on conflict (kind, owner, slice) do update set
        bytes = usage.bytes + excluded.bytes, condemned = usage.condemned + excluded.condemned
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    values (case when $15::uuid is null then 'filled' else 'replaced' end, $2, $3, $4, $5, $13)
), announced as (
    select pg_notify('gateway_changes', jsonb_build_array($2::text, $3::text, $4::text)::text),
           tell_of_file(
               case when $15::uuid is null then 'created' else 'replaced' end, $2, $3, $4, $6, $7, $11)
)
update files set
    blob_id = $5, content_type = $11, attributes = attributes || $12, creator = $13,
    updated_at = clock_timestamp(),
    modified_at = greatest(
        clock_timestamp(), date_trunc('second', modified_at) + interval '1 second')
where id = $1 and exists (select from announced);

-- name: amend_file
-- The row is locked already. $1 id  $2 attributes to merge  $3 actor
with amended as (
    update files set attributes = attributes || $2, updated_at = clock_timestamp()
    where id = $1 returning kind, owner, name, blob_id
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'amended', kind, owner, name, blob_id, $3 from amended
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text) from amended;

-- name: uncount_file
-- What is about to leave its scope; before transfer_file, so that an account that both scopes have
-- in common is not asked for the same room twice. $1 id  $2 usage slice
insert into usage (kind, owner, slice, files, bytes)
select f.kind, f.owner, $2, -1, -coalesce(b.size, 0)
from files f left join blobs b on b.id = f.blob_id where f.id = $1
on conflict (kind, owner, slice)
do update set files = usage.files + excluded.files, bytes = usage.bytes + excluded.bytes;

-- name: transfer_file
-- The row is locked already, and both scopes are shared; uncount_file took it off the scope that it
-- leaves, unless it stays there. To those who listen to the one scope the
-- file is gone, to those of the other it is new; its date is that of its coming.
-- $1 id  $2 kind, $3 owner and $4 name of where it goes  $5 actor  $6 usage slice
with old as (
    select f.kind, f.owner, f.name, f.blob_id, f.content_type, f.modified_at, b.size, b.sha256
    from files f left join blobs b on b.id = f.blob_id where f.id = $1
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    select $2, $3, $6, 1, coalesce(size, 0) from old where (kind, owner) <> ($2, $3)
    on conflict (kind, owner, slice)
    do update set files = usage.files + excluded.files, bytes = usage.bytes + excluded.bytes
), vacating as (
    insert into vacated (kind, owner, name, modified_at)
    select kind, owner, name, modified_at from old
    on conflict (kind, owner, name) do update set modified_at = excluded.modified_at
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'transferred', kind, owner, name, blob_id, $5 from old
    union all
    select 'received', $2, $3, $4, blob_id, $5 from old
), announced as (
    select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text),
           pg_notify('gateway_changes', jsonb_build_array($2::text, $3::text, $4::text)::text),
           case when blob_id is not null then
               tell_of_file('removed', kind, owner, name, null, null, null)
               + tell_of_file('created', $2, $3, $4, size, sha256, content_type) end
    from old
)
update files set
    kind = $2, owner = $3, name = $4, updated_at = clock_timestamp(),
    modified_at = greatest(clock_timestamp(), modified_at)
where id = $1 and exists (select from announced);

-- name: remove_files
-- The rows are locked already. $1 ids  $2 grace in seconds  $3 actor  $4 usage slice
with gone as (
    delete from files where id = any ($1::uuid[])
    returning kind, owner, name, blob_id, modified_at
), condemned as (
    update blobs set condemned_until = now() + make_interval(secs => $2),
        charged_kind = gone.kind, charged_owner = gone.owner
    from gone where blobs.id = gone.blob_id returning blobs.id, blobs.size
), counted as (
    insert into usage (kind, owner, slice, files, bytes, condemned)
    select gone.kind, gone.owner, $4, -count(*), -coalesce(sum(condemned.size), 0),
           coalesce(sum(condemned.size), 0)
    from gone left join condemned on condemned.id = gone.blob_id
    group by gone.kind, gone.owner order by gone.kind, gone.owner
    on conflict (kind, owner, slice) do update set
        files = usage.files + excluded.files, bytes = usage.bytes + excluded.bytes,
        condemned = usage.condemned + excluded.condemned
), vacating as (
    insert into vacated (kind, owner, name, modified_at)
    select kind, owner, name, modified_at from gone
    on conflict (kind, owner, name) do update set modified_at = excluded.modified_at
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'removed', kind, owner, name, blob_id, $3 from gone
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text),
       case when blob_id is not null
            then tell_of_file('removed', kind, owner, name, null, null, null) end
from gone;

-- name: count_files
-- $1 kind  $2 owner
select coalesce(sum(files), 0)::bigint from usage where kind = $1 and owner = $2;

-- name: count_matching_files
-- $1 kind  $2 owner  $3 part of the name, or ''  $4 attributes that must be contained
select count(*) from files
where kind = $1 and owner = $2
  and ($3 = '' or is_part($3, name)) and attributes @> $4;

-- name: list_files
-- Each order needs an index that yields it, in either direction; whoever registers one brings it.
-- $1 kind  $2 owner  $3 part of the name, or ''  $4 attributes that must be contained
-- $5 limit or null  $6 offset
select * from file_rows
where kind = $1 and owner = $2
  and ($3 = '' or is_part($3, name)) and attributes @> $4
order by {order} limit $5 offset $6;

-- order: list_files name = name (unique)
