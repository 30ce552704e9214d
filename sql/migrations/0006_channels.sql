-- Channels, which things are connected to them, and how many there are of what.

create table channels (
    id         uuid primary key,
    owner_id   uuid not null references users (id),
    name       text collate "C" not null,
    metadata   jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index channels_by_time on channels (created_at, id);
create index channels_by_name on channels (name, id);
create index channels_of_owner_by_time on channels (owner_id, created_at, id);
create index channels_of_owner_by_name on channels (owner_id, name, id);
create index channels_of_owner_by_id on channels (owner_id, id);
create index channels_by_metadata on channels using gin (metadata jsonb_path_ops);

create table connections (
    channel_id   uuid not null references channels (id) on delete cascade,
    thing_id     uuid not null references things (id) on delete cascade,
    connected_at timestamptz not null default now(),
    primary key (channel_id, thing_id)
);
create index connections_of_channel on connections (channel_id, connected_at, thing_id);
create index connections_of_thing on connections (thing_id, connected_at, channel_id);

-- The channels that a user may see; null sees all. Inlined where it is called, so that a
-- listing is read off an index.
create function visible_channels(viewer uuid) returns setof channels language sql stable as $$
    select * from channels where viewer is null
    union all
    select * from channels where owner_id = viewer
$$;

-- How many entities an owner has, so that a listing's total does not count them all. In
-- sixteen slices, so that two who create do not wait for each other's commit. The owner of
-- zeros is everybody.
create table tallies (
    kind     text not null,
    owner    uuid not null,
    slice    smallint not null,
    entities bigint not null,
    primary key (kind, owner, slice)
);

-- In the order of owners: whoever changes two tallies locks them in the same order.
create function tally_added() returns trigger language plpgsql as $$
begin
    insert into tallies as t (kind, owner, slice, entities)
    select tg_table_name, c.owner, pg_backend_pid() % 16, c.entities
      from (select owner_id as owner, count(*) as entities from added group by owner_id
            union all
            select '00000000-0000-0000-0000-000000000000', count(*) from added) c
     where c.entities > 0
     order by c.owner
    on conflict (kind, owner, slice) do update set entities = t.entities + excluded.entities;
    return null;
end $$;

create function tally_removed() returns trigger language plpgsql as $$
begin
    insert into tallies as t (kind, owner, slice, entities)
    select tg_table_name, c.owner, pg_backend_pid() % 16, -c.entities
      from (select owner_id as owner, count(*) as entities from removed group by owner_id
            union all
            select '00000000-0000-0000-0000-000000000000', count(*) from removed) c
     where c.entities > 0
     order by c.owner
    on conflict (kind, owner, slice) do update set entities = t.entities + excluded.entities;
    return null;
end $$;

create trigger things_added after insert on things
    referencing new table as added for each statement execute function tally_added();
create trigger things_removed after delete on things
    referencing old table as removed for each statement execute function tally_removed();
create trigger channels_added after insert on channels
    referencing new table as added for each statement execute function tally_added();
create trigger channels_removed after delete on channels
    referencing old table as removed for each statement execute function tally_removed();

insert into tallies (kind, owner, slice, entities)
select 'things', owner_id, 0, count(*) from things group by owner_id
union all
select 'things', '00000000-0000-0000-0000-000000000000', 0, count(*) from things;

create function tally_of(what text, whose uuid) returns bigint language sql stable as $$
    select coalesce(sum(entities), 0)::bigint
      from tallies
     where kind = what
       and owner = coalesce(whose, '00000000-0000-0000-0000-000000000000')
$$;
