-- Orgs, the users in them, and their groups.

-- name: add_org
-- $1 id  $2 owner_id  $3 name  $4 description  $5 metadata
insert into orgs (id, owner_id, name, description, metadata) values ($1, $2, $3, $4, $5);

-- name: org_by_id
-- $1 id
select id, owner_id, name, description, metadata, created_at, updated_at
  from orgs where id = $1;

-- name: org_role
-- No row: no such org. A null role: the user is not in it.
-- $1 org_id  $2 user_id
select m.role
  from orgs o
  left join org_users m on m.org_id = o.id and m.user_id = $2
 where o.id = $1;

-- name: amend_org
-- A null leaves the column as it is.
-- $1 id  $2 name  $3 description  $4 metadata
update orgs
   set name = coalesce($2, name),
       description = coalesce($3, description),
       metadata = coalesce($4, metadata),
       updated_at = now()
 where id = $1;

-- name: remove_org
-- $1 id
delete from orgs where id = $1;

-- name: list_orgs
-- $1 member's user_id, or null for all orgs  $2 part of the name
-- $3 metadata to contain  $4 limit  $5 offset  $6 order: created, name or id  $7 descending
select o.id, o.owner_id, o.name, o.description, o.metadata, o.created_at, o.updated_at
  from (select * from orgs where $1::uuid is null
        union all
        select a.* from orgs a join org_users m on m.org_id = a.id where m.user_id = $1) o
 where ($2 = '' or is_part($2, o.name)) and o.metadata @> $3
 order by case when $6 = 'created' and not $7 then o.created_at end,
          case when $6 = 'created' and $7 then o.created_at end desc,
          case when $6 = 'name' and not $7 then o.name end,
          case when $6 = 'name' and $7 then o.name end desc,
          case when not $7 then o.id end,
          o.id desc
 limit $4 offset $5;

-- name: count_orgs
-- $1 member's user_id, or null for all orgs  $2 part of the name
-- $3 metadata to contain
select count(*)
  from (select * from orgs where $1::uuid is null
        union all
        select a.* from orgs a join org_users m on m.org_id = a.id where m.user_id = $1) o
 where ($2 = '' or is_part($2, o.name)) and o.metadata @> $3;

-- name: hold_org
-- Keeps the org's members as they are while a change to them is decided.
-- $1 org_id
select owner_id from orgs where id = $1 for update;

-- name: roles_in_org
-- $1 org_id  $2 user_ids
select user_id, role from org_users where org_id = $1 and user_id = any ($2::uuid[]);

-- name: assign_to_org
-- $1 org_id  $2 user_id  $3 role
insert into org_users (org_id, user_id, role, assigned_at)
values ($1, $2, $3, clock_timestamp())
on conflict (org_id, user_id) do update set role = excluded.role;

-- name: unassign_from_org
-- $1 org_id  $2 user_ids
delete from org_users where org_id = $1 and user_id = any ($2::uuid[]);

-- name: list_org_members
-- With those whose role waits. $1 org_id  $2 part of the e-mail  $3 limit  $4 offset
select id, email, role, pending
  from (select u.id, u.email, m.role, m.assigned_at, false as pending
          from org_users m join users u on u.id = m.user_id
         where m.org_id = $1 and strpos(u.email, $2) > 0
        union all
        select u.id, u.email, w.role, w.created_at, true
          from invitations w join users u on u.id = w.user_id
         where w.org_id = $1 and w.expires_at > now() and strpos(u.email, $2) > 0) members
 order by assigned_at, id
 limit $3 offset $4;

-- name: count_org_members
-- $1 org_id  $2 part of the e-mail
select (select count(*) from org_users m join users u on u.id = m.user_id
         where m.org_id = $1 and strpos(u.email, $2) > 0)
     + (select count(*) from invitations w join users u on u.id = w.user_id
         where w.org_id = $1 and w.expires_at > now() and strpos(u.email, $2) > 0);

-- name: org_of_group
-- $1 group_id
select org_id from org_groups where group_id = $1;

-- name: assign_group_to_org
-- $1 group_id  $2 org_id
insert into org_groups (group_id, org_id, assigned_at)
values ($1, $2, clock_timestamp())
on conflict (group_id) do nothing;

-- name: unassign_groups_from_org
-- $1 org_id  $2 group_ids
delete from org_groups where org_id = $1 and group_id = any ($2::uuid[]);

-- name: list_org_groups
-- $1 org_id  $2 part of the name  $3 limit  $4 offset
select g.id, g.owner_id, g.name, g.description, g.metadata, g.parent_id, group_path(g.id) as path,
       g.created_at, g.updated_at
  from org_groups m join groups g on g.id = m.group_id
 where m.org_id = $1 and ($2 = '' or is_part($2, g.name))
 order by m.assigned_at, g.id
 limit $3 offset $4;

-- name: count_org_groups
-- $1 org_id  $2 part of the name
select count(*)
  from org_groups m join groups g on g.id = m.group_id
 where m.org_id = $1 and ($2 = '' or is_part($2, g.name));
