-- The ledger of blobs: which are live, which wait for the sweeper, which never were.

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

-- name: purge_blobs
-- $1 blob ids
delete from blobs where id = any($1::uuid[]) and condemned_until < now();

-- name: live_blobs_after
-- $1 blob id  $2 limit
select id, kind, owner, size, sha256, md5 from blobs
where id > $1 and condemned_until is null order by id limit $2;

-- name: existing_blobs
-- Tombstones of orphans, which have no digest, do not count: their bytes belong to nobody.
-- $1 blob ids
select id from blobs where id = any($1::uuid[]) and sha256 is not null;

-- name: count_scopes
-- What is kept as each scope's totals, and what they are, as of one moment.
-- $1 kind  $2 owner, after which to begin  $3 limit
select s.kind, s.owner, kept.files as kept_files, kept.bytes as kept_bytes, there.files, there.bytes
from (select kind, owner from scopes where (kind, owner) > ($1, $2)
      order by kind, owner limit $3) s
cross join lateral (
    select coalesce(sum(u.files), 0)::bigint as files, coalesce(sum(u.bytes), 0)::bigint as bytes
    from usage u where u.kind = s.kind and u.owner = s.owner) kept
cross join lateral (
    select count(*) as files, coalesce(sum(b.size), 0)::bigint as bytes
    from files f left join blobs b on b.id = f.blob_id
    where f.kind = s.kind and f.owner = s.owner) there
order by s.kind, s.owner;

-- name: forget_usage
-- Only after close_scope. $1 kind  $2 owner
delete from usage where kind = $1 and owner = $2;

-- name: count_usage
-- Only after forget_usage. $1 kind  $2 owner
insert into usage (kind, owner, slice, files, bytes)
select $1, $2, 0, count(*), coalesce(sum(b.size), 0)
from files f left join blobs b on b.id = f.blob_id
where f.kind = $1 and f.owner = $2 having count(*) > 0;

-- name: drop_old_vacancies
-- Only a second matters; an hour is generous.
delete from vacated where modified_at < now() - interval '1 hour';

-- name: probe_catalogue
select pg_is_in_recovery();
