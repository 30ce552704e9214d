-- Keys that users issue to programs.

-- name: add_key
-- A key issued with another lives no longer than that.
-- $1 id  $2 user_id  $3 the key it is issued with, or null  $4 type  $5 issued_at
-- $6 expires_at, or null for never  $7 label  $8 whether it only reads  $9 group_id or null
-- $10 thing_id or null
insert into api_keys (id, user_id, parent_id, type, issued_at, expires_at, label, read_only, group_id,
                      thing_id)
values ($1, $2, $3, $4, $5,
        least($6::timestamptz, (select expires_at from api_keys where id = $3)), $7, $8, $9, $10)
returning id, user_id, type, issued_at, expires_at, label, read_only, group_id, thing_id,
          null::timestamptz as used_at;

-- name: user_by_key
-- Whoever issued a key that is in force.
-- $1 id
select u.id, u.number, u.email, u.metadata, u.admin, u.member, u.registrar, u.locked,
       u.password_hash, u.tokens_valid_from, k.read_only, k.group_id, k.thing_id
  from api_keys k join users u on u.id = k.user_id
 where k.id = $1 and (k.expires_at is null or k.expires_at > now());

-- name: key_by_id
-- $1 id  $2 user_id, or null for any
select k.id, k.user_id, u.email, k.type, k.issued_at, k.expires_at, k.label, k.read_only,
       k.group_id, k.thing_id, s.used_at
  from api_keys k join users u on u.id = k.user_id left join key_uses s on s.key_id = k.id
 where k.id = $1 and ($2::uuid is null or k.user_id = $2);

-- name: remove_key
-- $1 id  $2 user_id, or null for any
delete from api_keys where id = $1 and ($2::uuid is null or user_id = $2);

-- name: remove_keys
-- All of a user. $1 user_id
delete from api_keys where user_id = $1;

-- name: note_key_uses
-- Those that are gone meanwhile are left out. $1 key_ids  $2 when each was used
insert into key_uses (key_id, used_at)
select u.key_id, u.used_at
  from unnest($1::uuid[], $2::timestamptz[]) as u (key_id, used_at)
  join api_keys k on k.id = u.key_id
 order by u.key_id
    for key share of k
on conflict (key_id) do update set used_at = greatest(key_uses.used_at, excluded.used_at);

-- name: forget_old_keys
-- Those that nobody could have used for a month.
-- $1 user_id
delete from api_keys where user_id = $1 and expires_at < now() - interval '30 days';

-- name: list_keys
-- $1 user_id  $2 limit  $3 offset
select k.id, k.user_id, u.email, k.type, k.issued_at, k.expires_at, k.label, k.read_only,
       k.group_id, k.thing_id, s.used_at
  from api_keys k join users u on u.id = k.user_id left join key_uses s on s.key_id = k.id
 where k.user_id = $1
 order by k.issued_at, k.id
 limit $2 offset $3;

-- name: count_keys
-- $1 user_id
select count(*) from api_keys where user_id = $1;
