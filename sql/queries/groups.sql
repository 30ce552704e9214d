-- Groups, and the things and users in them.

-- name: add_group
-- $1 id  $2 owner_id  $3 name  $4 description  $5 metadata  $6 parent_id or null
insert into groups (id, owner_id, name, description, metadata, parent_id)
values ($1, $2, $3, $4, $5, $6);

-- name: group_by_id
-- $1 id
select id, owner_id, name, description, metadata, parent_id, group_path(id) as path,
       created_at, updated_at
  from groups where id = $1;

-- name: depth_of_group
-- How many groups from the root to it; null without such a group. $1 id
select cardinality(group_path($1));

-- name: group_role
-- No row: no such group. A null role: the user is not in it.
-- $1 group_id  $2 user_id
select m.role
  from groups g
  left join group_roles m on m.group_id = g.id and m.user_id = $2
 where g.id = $1;

-- name: amend_group
-- A null leaves the column as it is.
-- $1 id  $2 name  $3 description  $4 metadata
update groups
   set name = coalesce($2, name),
       description = coalesce($3, description),
       metadata = coalesce($4, metadata),
       updated_at = now()
 where id = $1;

-- name: remove_group
-- $1 id
delete from groups where id = $1;

-- name: list_groups
-- $1 member's user_id, or null for all groups  $2 part of the name
-- $3 metadata to contain  $4 limit  $5 offset  $6 order: created, name or id  $7 descending
select g.id, g.owner_id, g.name, g.description, g.metadata, g.parent_id, group_path(g.id) as path,
       g.created_at, g.updated_at
  from (select * from groups where $1::uuid is null
        union all
        select a.* from groups a join group_roles m on m.group_id = a.id where m.user_id = $1) g
 where ($2 = '' or is_part($2, g.name)) and g.metadata @> $3
 order by case when $6 = 'created' and not $7 then g.created_at end,
          case when $6 = 'created' and $7 then g.created_at end desc,
          case when $6 = 'name' and not $7 then g.name end,
          case when $6 = 'name' and $7 then g.name end desc,
          case when not $7 then g.id end,
          g.id desc
 limit $4 offset $5;

-- name: count_groups
-- $1 member's user_id, or null for all groups  $2 part of the name
-- $3 metadata to contain
select count(*)
  from (select * from groups where $1::uuid is null
        union all
        select a.* from groups a join group_roles m on m.group_id = a.id where m.user_id = $1) g
 where ($2 = '' or is_part($2, g.name)) and g.metadata @> $3;

-- name: list_groups_below
-- The group itself first, then by distance.
-- $1 group_id  $2 user_id who must be in the groups, or null  $3 levels  $4 limit  $5 offset
with recursive related as (
    select id, parent_id, 0 as distance from groups where id = $1
    union all
    select g.id, g.parent_id, r.distance + 1
      from related r join groups g on g.parent_id = r.id
     where r.distance + 1 < $3::int)
select g.id, g.owner_id, g.name, g.description, g.metadata, g.parent_id, group_path(g.id) as path,
       g.created_at, g.updated_at
  from related r join groups g on g.id = r.id
 where ($2::uuid is null
        or exists (select 1 from group_roles m where m.group_id = r.id and m.user_id = $2))
 order by r.distance, g.created_at, g.id
 limit $4 offset $5;

-- name: count_groups_below
-- $1 group_id  $2 user_id who must be in the groups, or null  $3 levels
with recursive related as (
    select id, parent_id, 0 as distance from groups where id = $1
    union all
    select g.id, g.parent_id, r.distance + 1
      from related r join groups g on g.parent_id = r.id
     where r.distance + 1 < $3::int)
select count(*)
  from related r
 where ($2::uuid is null
        or exists (select 1 from group_roles m where m.group_id = r.id and m.user_id = $2));

-- name: list_groups_above
-- The group itself first, then by distance.
-- $1 group_id  $2 user_id who must be in the groups, or null  $3 levels  $4 limit  $5 offset
with recursive related as (
    select id, parent_id, 0 as distance from groups where id = $1
    union all
    select g.id, g.parent_id, r.distance + 1
      from related r join groups g on g.id = r.parent_id
     where r.distance + 1 < $3::int)
select g.id, g.owner_id, g.name, g.description, g.metadata, g.parent_id, group_path(g.id) as path,
       g.created_at, g.updated_at
  from related r join groups g on g.id = r.id
 where ($2::uuid is null
        or exists (select 1 from group_roles m where m.group_id = r.id and m.user_id = $2))
 order by r.distance, g.created_at, g.id
 limit $4 offset $5;

-- name: count_groups_above
-- $1 group_id  $2 user_id who must be in the groups, or null  $3 levels
with recursive related as (
    select id, parent_id, 0 as distance from groups where id = $1
    union all
    select g.id, g.parent_id, r.distance + 1
      from related r join groups g on g.id = r.parent_id
     where r.distance + 1 < $3::int)
select count(*)
  from related r
 where ($2::uuid is null
        or exists (select 1 from group_roles m where m.group_id = r.id and m.user_id = $2));

-- name: groups_of_thing
-- $1 thing_id
select group_id from group_things where thing_id = $1 order by assigned_at, group_id;

-- name: groups_of_user
-- $1 user_id
select g.id, g.number, g.name, g.description
  from group_roles m join groups g on g.id = m.group_id
 where m.user_id = $1
 order by g.number;

-- name: group_numbers
-- Which of them there are. $1 numbers
select number from groups where number = any ($1::integer[]);

-- name: list_groups_of_thing
-- Whoever owns the thing sees every group that it is in, for they may take it out; of those that
-- they are not in themselves, the name.
-- $1 thing_id  $2 user_id who must be in the group too, or null  $3 limit  $4 offset
select g.id, g.owner_id, g.name, case when s.is_in then g.description else '' end as description,
       case when s.is_in then g.metadata else '{}' end as metadata,
       case when s.is_in then g.parent_id end as parent_id,
       case when s.is_in then group_path(g.id) else array[g.id] end as path,
       g.created_at, g.updated_at
  from group_things t
  join groups g on g.id = t.group_id
  join things o on o.id = t.thing_id
 cross join lateral (
       select $2::uuid is null or exists (
           select 1 from group_roles m where m.group_id = g.id and m.user_id = $2) as is_in) s
 where t.thing_id = $1 and (s.is_in or o.owner_id = $2)
 order by t.assigned_at, g.id
 limit $3 offset $4;

-- name: count_groups_of_thing
-- $1 thing_id  $2 user_id who must be in the group too, or null
select count(*)
  from group_things t join things o on o.id = t.thing_id
 where t.thing_id = $1
   and ($2::uuid is null or o.owner_id = $2
        or exists (select 1 from group_roles m where m.group_id = t.group_id and m.user_id = $2));

-- name: assign_thing
-- An assignment that exists keeps its time.
-- $1 group_id  $2 thing_id
insert into group_things (group_id, thing_id, assigned_at)
values ($1, $2, clock_timestamp())
on conflict do nothing;

-- name: assign_user
-- $1 group_id  $2 user_id  $3 role
insert into group_users (group_id, user_id, role, assigned_at)
values ($1, $2, $3, clock_timestamp())
on conflict (group_id, user_id) do update set role = excluded.role;

-- name: hold_group
-- Keeps the group's members as they are while a change to them is decided.
-- $1 group_id
select owner_id from groups where id = $1 for update;

-- name: roles_of_users
-- $1 group_id  $2 user_ids
select user_id, role from group_users where group_id = $1 and user_id = any ($2::uuid[]);

-- name: unassign_things
-- $1 group_id  $2 thing_ids
delete from group_things where group_id = $1 and thing_id = any ($2::uuid[]);

-- name: unassign_users
-- $1 group_id  $2 user_ids
delete from group_users where group_id = $1 and user_id = any ($2::uuid[]);

-- name: unassign_things_of
-- The things of those of the users who have no role in the group any more. Who may still see it
-- through its org keeps them there. $1 group_id  $2 user_ids
delete from group_things m using things t
 where m.group_id = $1 and t.id = m.thing_id and t.owner_id = any ($2::uuid[])
   and not exists (select 1 from group_roles r
                    where r.group_id = $1 and r.user_id = t.owner_id)
returning m.thing_id;

-- name: groups_owned_directly
-- $1 user_id  $2 group_ids
select group_id from group_users
 where user_id = $1 and group_id = any ($2::uuid[]) and role = 4;

-- name: creators_of_groups
-- $1 group_ids
select id, owner_id from groups where id = any ($1::uuid[]) order by id for key share;

-- name: list_members
-- Things first, then users, each by when they came, also those who own the group through its org
-- and those whose role waits. The key only for whoever owns the thing.
-- $1 group_id  $2 limit  $3 offset  $4 'things', 'users' or '' for both
with inherited as (
    select g.org_id, o.user_id, greatest(g.assigned_at, o.assigned_at) as assigned_at
      from org_groups g join org_users o on o.org_id = g.org_id and o.role = 4
     where g.group_id = $1
)
select id, kind, name, owner_id, key_sealed, email, role, metadata, pending, org_id
  from (select t.id, 'thing' as kind, t.name, t.owner_id, t.key_sealed, null as email,
               null::smallint as role, t.metadata, m.assigned_at, false as pending,
               null::uuid as org_id
          from group_things m join things t on t.id = m.thing_id
         where m.group_id = $1 and $4 <> 'users'
        union all
        select u.id, 'user', '', null, null, u.email,
               case when i.org_id is null then m.role else 4::smallint end, u.metadata,
               m.assigned_at, false, i.org_id
          from group_users m join users u on u.id = m.user_id
          left join inherited i on i.user_id = m.user_id
         where m.group_id = $1 and $4 <> 'things'
        union all
        select u.id, 'user', '', null, null, u.email, 4::smallint, u.metadata, i.assigned_at, false,
               i.org_id
          from inherited i join users u on u.id = i.user_id
         where $4 <> 'things'
           and not exists (select 1 from group_users m
                            where m.group_id = $1 and m.user_id = i.user_id)
        union all
        select u.id, 'user', '', null, null, u.email, w.role, u.metadata, w.created_at, true, null
          from invitations w join users u on u.id = w.user_id
         where w.group_id = $1 and w.expires_at > now() and $4 <> 'things') members
 order by kind, assigned_at, id
 limit $2 offset $3;

-- name: count_members
-- $1 group_id  $2 'things', 'users' or '' for both
select (select count(*) from group_things where group_id = $1 and $2 <> 'users')
     + (select count(*) from group_users where group_id = $1 and $2 <> 'things')
     + (select count(*) from org_groups g join org_users o on o.org_id = g.org_id and o.role = 4
         where g.group_id = $1 and $2 <> 'things'
           and not exists (select 1 from group_users m
                            where m.group_id = $1 and m.user_id = o.user_id))
     + (select count(*) from invitations
         where group_id = $1 and expires_at > now() and $2 <> 'things');
