-- Policies. Adding what is there and deleting what is not changes nothing.

-- name: kind_of_object
-- What the id is of: 'things', 'channels', 'groups', or null. It stays until the
-- transaction ends.
-- $1 id
with thing as (select 'things' as kind from things where id = $1 for key share),
     channel as (select 'channels' as kind from channels where id = $1 for key share),
     grouping as (select 'groups' as kind from groups where id = $1 for key share)
select kind from thing union all select kind from channel union all select kind from grouping;

-- name: add_things_policies
-- $1 thing_id  $2 user_ids  $3 actions
insert into thing_policies (user_id, thing_id, action)
select u, $1, a from unnest($2::uuid[]) u cross join unnest($3::text[]) a
on conflict do nothing;

-- name: remove_things_policies
-- $1 thing_id  $2 user_ids  $3 actions
delete from thing_policies
 where thing_id = $1 and user_id = any ($2::uuid[]) and action = any ($3::text[]);

-- name: add_channels_policies
-- $1 channel_id  $2 user_ids  $3 actions
insert into channel_policies (user_id, channel_id, action)
select u, $1, a from unnest($2::uuid[]) u cross join unnest($3::text[]) a
on conflict do nothing;

-- name: remove_channels_policies
-- $1 channel_id  $2 user_ids  $3 actions
delete from channel_policies
 where channel_id = $1 and user_id = any ($2::uuid[]) and action = any ($3::text[]);

-- name: add_group_access
-- $1 group_id  $2 user_ids
insert into group_policies (user_id, group_id)
select u, $1 from unnest($2::uuid[]) u
on conflict do nothing;

-- name: remove_group_access
-- $1 group_id  $2 user_ids
delete from group_policies where group_id = $1 and user_id = any ($2::uuid[]);

-- name: join_group
-- Whoever is in it keeps their role.
-- $1 group_id  $2 user_ids
insert into group_users (group_id, user_id, role, assigned_at)
select $1, u, 1, clock_timestamp() from unnest($2::uuid[]) u
on conflict do nothing;

-- name: leave_group
-- Whoever created it stays.
-- $1 group_id  $2 user_ids
delete from group_users m using groups g
 where g.id = m.group_id and m.group_id = $1 and m.user_id = any ($2::uuid[])
   and m.user_id <> g.owner_id;

-- name: set_users_member
-- $1 user_ids  $2 whether they are
update users set member = $2 where id = any ($1::uuid[]);

-- name: set_users_registrar
-- $1 user_ids  $2 whether they are
update users set registrar = $2 where id = any ($1::uuid[]);

-- name: set_users_admin
-- $1 user_ids  $2 whether they are
update users set admin = $2 where id = any ($1::uuid[]);
