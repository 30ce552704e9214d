-- Quotas: what an account may have and has, and the room that uploads under way were promised.

-- name: reserve_bytes
-- Null: nothing limits it. $1 blob id  $2 kind and $3 owner of the scope  $4 wanted  $5 least that is
-- of use  $6 lease in seconds
select reserve_bytes($1, $2, $3, $4, $5, $6);

-- name: release_reservation
-- $1 blob id
delete from reservations where id = $1;

-- name: renew_reservations
-- $1 blob ids  $2 lease in seconds
update reservations set expires_at = clock_timestamp() + make_interval(secs => $2)
where id = any ($1::uuid[]);

-- name: forget_reservations
-- Of gateways that died.
delete from reservations where expires_at < clock_timestamp() - interval '1 minute';

-- name: forget_days
delete from daily_usage where day < (now() at time zone 'UTC')::date - 7;

-- name: forget_ended_usage
-- What is kept of scopes that are gone, once nothing of them is left to be swept.
delete from usage u using payers p
where p.ended and u.kind = p.kind and u.owner = p.owner
  and not exists (select from scopes s where s.kind = p.kind and s.owner = p.owner)
  and not exists (select from blobs b where b.charged_kind = p.kind and b.charged_owner = p.owner);

-- name: forget_ended_payers
delete from payers p
where p.ended and not exists (select from usage u where u.kind = p.kind and u.owner = p.owner)
  and not exists (select from scopes s where s.kind = p.kind and s.owner = p.owner);

-- name: report_quotas
-- $1 kind  $2 owner  $3 resources
select r.resource, quota_of($1, $2, r.resource) as amount, quota_used($1, $2, r.resource) as used,
       case r.resource when 'bytes' then quota_reserved($1, $2) else 0 end as reserved,
       case r.resource when 'bytes' then (
           select coalesce(sum(u.condemned), 0)::bigint from usage u
           where (u.kind, u.owner) in (
               select $1, $2 union select p.kind, p.owner from payers p
               where $1 = 'users' and p.user_id::text = $2 or $1 = 'orgs' and p.org_id::text = $2)
       ) else 0 end as condemned
from unnest($3::text[]) with ordinality as r (resource, place) order by r.place;

-- name: account_exists
-- $1 kind  $2 owner
select exists (select from scopes where kind = $1 and owner = $2)
    or $1 = 'orgs' and exists (select from orgs where id::text = $2);

-- name: set_quotas
-- $1 kind  $2 owner  $3 resources  $4 amounts, null for no limit
insert into quotas (kind, owner, resource, amount)
select $1, $2, * from unnest($3::text[], $4::bigint[])
on conflict (kind, owner, resource) do update set amount = excluded.amount;

-- name: unset_quotas
-- The defaults hold again. $1 kind  $2 owner  $3 resources
delete from quotas where kind = $1 and owner = $2 and resource = any ($3::text[]);

-- name: clear_newcomer
-- $1 user id
update users set newcomer = false where id = $1 and newcomer;

-- name: is_newcomer
-- $1 user id
select newcomer from users where id = $1;

-- name: forget_other_defaults
-- $1 classes  $2 resources of those that stay
delete from quota_defaults
where (class, resource) not in (select * from unnest($1::text[], $2::text[]));

-- name: set_defaults
-- What is as it was is not written again. $1 classes  $2 resources  $3 amounts
insert into quota_defaults as d (class, resource, amount)
select * from unnest($1::text[], $2::text[], $3::bigint[])
on conflict (class, resource) do update set amount = excluded.amount
where d.amount <> excluded.amount;
