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

-- name: drop_old_vacancies
-- Only a second matters; an hour is generous.
delete from vacated where modified_at < now() - interval '1 hour';

-- name: probe_catalogue
select pg_is_in_recovery();
