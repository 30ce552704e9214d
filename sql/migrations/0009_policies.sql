-- Policies: what an administrator grants a user beside what roles and ownership do; and who
-- may therefore see which things and channels.

-- A user who is no member may look, but make nothing.
alter table users add column member boolean not null default true;
-- May make accounts where registration is closed.
alter table users add column registrar boolean not null default false;

create table thing_policies (
    user_id  uuid not null references users (id) on delete cascade,
    thing_id uuid not null references things (id) on delete cascade,
    action   text not null check (action in ('read', 'write', 'delete')),
    primary key (user_id, thing_id, action)
);
create index thing_policies_of_thing on thing_policies (thing_id);

create table channel_policies (
    user_id    uuid not null references users (id) on delete cascade,
    channel_id uuid not null references channels (id) on delete cascade,
    action     text not null check (action in ('read', 'write', 'delete')),
    primary key (user_id, channel_id, action)
);
create index channel_policies_of_channel on channel_policies (channel_id);

-- Access to a group: every right to the things in it.
create table group_policies (
    user_id  uuid not null references users (id) on delete cascade,
    group_id uuid not null references groups (id) on delete cascade,
    primary key (user_id, group_id)
);
create index group_policies_of_group on group_policies (group_id);

-- What somebody who does not own a thing may do with it, and why.
create view thing_grants as
select user_id, thing_id, action from thing_policies
union all
select p.user_id, t.thing_id, a.action
  from group_policies p
  join group_things t on t.group_id = p.group_id
 cross join (values ('read'), ('write'), ('delete')) as a (action)
union all
select r.user_id, t.thing_id, a.action
  from group_roles r
  join group_things t on t.group_id = r.group_id
  join (values ('read', 1), ('write', 2), ('delete', 3)) as a (action, role) on r.role >= a.role;

-- The things of others that a user may see.
create function shared_things(viewer uuid) returns setof things language sql stable as $$
    select t.* from things t
     where t.owner_id <> viewer
       and t.id in (select thing_id from thing_grants where user_id = viewer and action = 'read')
$$;

-- The things that a user may see; null sees all. Inlined where it is called, so that a
-- listing is read off an index.
create function visible_things(viewer uuid) returns setof things language sql stable as $$
    select * from things where viewer is null
    union all
    select * from things where owner_id = viewer
    union all
    select t.* from things t
     where t.owner_id <> viewer
       and t.id in (select thing_id from thing_grants where user_id = viewer and action = 'read')
$$;

create function shared_channels(viewer uuid) returns setof channels language sql stable as $$
    select c.* from channels c
     where c.owner_id <> viewer
       and c.id in (select channel_id from channel_policies
                     where user_id = viewer and action = 'read')
$$;

create or replace function visible_channels(viewer uuid)
returns setof channels language sql stable as $$
    select * from channels where viewer is null
    union all
    select * from channels where owner_id = viewer
    union all
    select c.* from channels c
     where c.owner_id <> viewer
       and c.id in (select channel_id from channel_policies
                     where user_id = viewer and action = 'read')
$$;

-- Whether a user may do that with a thing or channel; null may.
create function may_thing(actor uuid, thing things, wanted text) returns boolean
language sql stable as $$
    select actor is null or thing.owner_id = actor
        or exists (select 1 from thing_grants g
                    where g.user_id = actor and g.thing_id = thing.id and g.action = wanted)
$$;

create function may_channel(actor uuid, channel channels, wanted text) returns boolean
language sql stable as $$
    select actor is null or channel.owner_id = actor
        or exists (select 1 from channel_policies p
                    where p.user_id = actor and p.channel_id = channel.id and p.action = wanted)
$$;

-- A group's place in its tree: the ids from the root to itself.
create function group_path(wanted uuid) returns uuid[] language sql stable as $$
    with recursive up (id, parent_id, height) as (
        select id, parent_id, 0 from groups where id = wanted
        union all
        select g.id, g.parent_id, up.height + 1 from groups g join up on g.id = up.parent_id
    )
    select array_agg(id order by height desc) from up
$$;
