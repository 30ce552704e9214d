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
-- None while a backup holds them: its copy of the rows may be older than their end.
-- $1 limit
select id, kind, owner from blobs
where condemned_until < now()
  and (select pg_try_advisory_xact_lock_shared(hashtextextended('held garbage', 0)))
order by condemned_until limit $1;

-- name: share_charged_scopes
-- Of condemned blobs, so that no account changes hands while they are taken off. $1 blob ids
select pg_advisory_xact_lock_shared(hashtextextended(scope, 0))
from (
    select distinct charged_kind || '/' || charged_owner as scope from blobs
    where id = any($1::uuid[]) and charged_kind is not null order by 1
) scopes;

-- name: hold_garbage
-- For as long as the session lasts. False if another backup holds it.
select pg_try_advisory_lock(hashtextextended('held garbage', 0));

-- name: purge_blobs
-- Only now do they count no more. Only after share_charged_scopes. $1 blob ids
with gone as (
    delete from blobs where id = any($1::uuid[]) and condemned_until < now()
    returning charged_kind, charged_owner, size
)
insert into usage (kind, owner, slice, files, bytes, condemned)
select charged_kind, charged_owner, 0, 0, 0, -sum(size) from gone
where charged_kind is not null
group by charged_kind, charged_owner order by charged_kind, charged_owner
on conflict (kind, owner, slice) do update set condemned = usage.condemned + excluded.condemned;

-- name: live_blobs_after
-- $1 blob id  $2 limit
select id, kind, owner, size, sha256, md5 from blobs
where id > $1 and condemned_until is null order by id limit $2;

-- name: live_blobs
select id, kind, owner, size, sha256, md5 from blobs where condemned_until is null order by id;

-- name: live_blobs_by_place
-- As a bucket lists them: by the bytes of their keys.
select id, kind, owner, size, sha256, md5 from blobs where condemned_until is null
order by (kind || '/' || owner || '/' || id::text) collate "C";

-- name: existing_blobs
-- Tombstones of orphans, which have no digest, do not count: their bytes belong to nobody.
-- $1 blob ids
select id from blobs where id = any($1::uuid[]) and sha256 is not null;

-- name: count_scopes
-- What is kept as each scope's totals, and what they are, as of one moment. A scope that is gone may
-- have something that is condemned.
-- $1 kind  $2 owner, after which to begin  $3 limit
select s.kind, s.owner, kept.files as kept_files, kept.bytes as kept_bytes,
       kept.condemned as kept_condemned, there.files, there.bytes, dead.condemned
from ((select kind, owner from scopes where (kind, owner) > ($1, $2)
       order by kind, owner limit $3)
      union
      (select kind, owner from payers where ended and (kind, owner) > ($1, $2)
       order by kind, owner limit $3)
      order by kind, owner limit $3) s
cross join lateral (
    select coalesce(sum(u.files), 0)::bigint as files, coalesce(sum(u.bytes), 0)::bigint as bytes,
           coalesce(sum(u.condemned), 0)::bigint as condemned
    from usage u where u.kind = s.kind and u.owner = s.owner) kept
cross join lateral (
    select count(*) as files, coalesce(sum(b.size), 0)::bigint as bytes
    from files f left join blobs b on b.id = f.blob_id
    where f.kind = s.kind and f.owner = s.owner) there
cross join lateral (
    select coalesce(sum(b.size), 0)::bigint as condemned
    from blobs b where b.charged_kind = s.kind and b.charged_owner = s.owner) dead
order by s.kind, s.owner;

-- name: count_accounts
-- The same of what users and orgs have. $1 kind  $2 owner, after which to begin  $3 limit
with accounts as (
    select a.kind, a.id::text as owner, sum(u.files)::bigint as files,
           sum(u.bytes + u.condemned)::bigint as bytes
    from payers p
    join usage u on u.kind = p.kind and u.owner = p.owner
    cross join lateral (values ('users', p.user_id), ('orgs', p.org_id)) a (kind, id)
    where a.id is not null group by a.kind, a.id
), kept as (
    select kind, owner, sum(files)::bigint as files, sum(bytes)::bigint as bytes
    from account_usage group by kind, owner
)
select kind, owner, coalesce(k.files, 0) as kept_files, coalesce(k.bytes, 0) as kept_bytes,
       coalesce(a.files, 0) as files, coalesce(a.bytes, 0) as bytes
from accounts a full join kept k using (kind, owner)
where (kind, owner) > ($1, $2)
  and (coalesce(k.files, 0), coalesce(k.bytes, 0))
      is distinct from (coalesce(a.files, 0), coalesce(a.bytes, 0))
order by kind, owner limit $3;

-- name: recounting
-- Until the transaction ends no quota is proved: what is counted again is not more than it was.
select set_config('gateway.recounting', 'on', true);

-- name: recount_account
-- $1 kind  $2 owner
select recount_account($1, $2);

-- name: forget_usage
-- Only after close_scope. $1 kind  $2 owner
delete from usage where kind = $1 and owner = $2;

-- name: count_usage
-- Only after forget_usage. $1 kind  $2 owner
insert into usage (kind, owner, slice, files, bytes, condemned)
select $1, $2, 0, there.files, there.bytes, dead.condemned
from (select count(*) as files, coalesce(sum(b.size), 0) as bytes
      from files f left join blobs b on b.id = f.blob_id
      where f.kind = $1 and f.owner = $2) there,
     (select coalesce(sum(size), 0) as condemned
      from blobs where charged_kind = $1 and charged_owner = $2) dead
where there.files > 0 or dead.condemned > 0;

-- name: drop_old_vacancies
-- Only a second matters; an hour is generous.
delete from vacated where modified_at < now() - interval '1 hour';

-- name: probe_catalogue
select pg_is_in_recovery();

-- name: any_table
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'public' and c.relkind in ('r', 'p'));

-- name: store_of_deployment
select identity from deployment_store;

-- name: adopt_store
-- $1 identity
insert into deployment_store (identity) values ($1) on conflict do nothing;

-- name: move_store
-- $1 identity
insert into deployment_store (identity) values ($1)
on conflict (only_one) do update set identity = excluded.identity, since = now()
where deployment_store.identity <> excluded.identity;
