-- User files: those that a GUID may mean, and those that somebody may see.

-- name: find
-- The first in the order of precedence: own, shared, global. Each rank is read off its own index.
-- $1 GUID  $2 the caller's user id  $3 <GUID>/<number> of each group that they are in
select * from (
    (select 1 as rank, f.* from file_rows f
      where f.kind = 'users' and f.attributes ? 'guid'
        and f.owner = $2 and f.attributes ->> 'guid' = $1
      order by f.updated_at desc, f.id limit 1)
    union all
    (select 2, f.* from file_rows f
      where f.kind = 'users' and f.attributes ? 'guid' and gravwell_shares(f.attributes) && $3::text[]
      order by f.updated_at desc, f.id limit 1)
    union all
    (select 3, f.* from file_rows f
      where f.kind = 'users' and f.attributes ? 'guid' and f.attributes ->> 'global' = 'true'
        and f.attributes ->> 'guid' = $1
      order by f.updated_at desc, f.id limit 1)
) ranked
order by rank limit 1;

-- The lists have the number of each file's owner among its attributes, as "uid": a list of a million
-- asks for nothing else while it is read.

-- name: list_visible
-- Own files, then those of others that are shared with one of the groups, then what is global.
-- $1 the caller's user id  $2 numbers of the groups that they are in
select f.id, f.kind, f.owner, f.name, f.blob_id, f.content_type, f.creator, f.created_at,
       f.modified_at, f.updated_at, f.size, f.sha256, f.md5, f.blob_kind, f.blob_owner, f.quarantined,
       f.attributes || jsonb_build_object('uid', u.number) as attributes
from (
    select f.* from file_rows f
     where f.kind = 'users' and f.attributes ? 'guid' and f.owner = $1
    union all
    select f.* from file_rows f
     where f.kind = 'users' and f.attributes ? 'guid' and f.owner <> $1
       and gravwell_groups(f.attributes) && $2::integer[]
    union all
    select f.* from file_rows f
     where f.kind = 'users' and f.attributes ? 'guid' and f.owner <> $1
       and f.attributes ->> 'global' = 'true' and not gravwell_groups(f.attributes) && $2::integer[]
) f left join users u on u.id = f.owner::uuid;

-- name: list_all
-- For administrators.
select f.id, f.kind, f.owner, f.name, f.blob_id, f.content_type, f.creator, f.created_at,
       f.modified_at, f.updated_at, f.size, f.sha256, f.md5, f.blob_kind, f.blob_owner, f.quarantined,
       f.attributes || jsonb_build_object('uid', u.number) as attributes
from file_rows f left join users u on u.id = f.owner::uuid
where f.kind = 'users' and f.attributes ? 'guid';

-- name: hold
-- Nobody changes with whom the file is shared until the transaction ends; what it has is read after
-- this, for it may have waited. $1 id
select * from file_rows where id = (select id from files where id = $1 for no key update);
