-- Orgs: users, each with a role, and the groups that belong to them.

create table orgs (
    id          uuid primary key,
    owner_id    uuid not null references users (id),
    name        text collate "C" not null,
    description text not null default '',
    metadata    jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create index orgs_by_time on orgs (created_at, id);
create index orgs_of_owner on orgs (owner_id);

-- role as in group_users. The org's creator has a row here too.
create table org_users (
    org_id      uuid not null references orgs (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    role        smallint not null check (role between 1 and 4),
    assigned_at timestamptz not null default now(),
    primary key (org_id, user_id)
);
create index org_users_of_user on org_users (user_id, org_id);

-- A group is in one org at most.
create table org_groups (
    group_id    uuid primary key references groups (id) on delete cascade,
    org_id      uuid not null references orgs (id) on delete cascade,
    assigned_at timestamptz not null default now()
);
create index org_groups_of_org on org_groups (org_id, assigned_at, group_id);

create trigger org_users_changed after insert or update or delete on org_users
    for each statement execute function announce_identity();
create trigger org_groups_changed after insert or update or delete on org_groups
    for each statement execute function announce_identity();

-- Every user's role in every group: what the group itself gives, and to the owners of its
-- org, owner.
create view group_roles as
select group_id, user_id, max(role)::smallint as role
  from (select group_id, user_id, role from group_users
        union all
        select g.group_id, u.user_id, u.role
          from org_groups g join org_users u on u.org_id = g.org_id
         where u.role = 4) given
 group by group_id, user_id;
