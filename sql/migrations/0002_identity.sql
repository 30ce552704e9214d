-- Who asks: users, their things, their groups. Things and groups own files: each has a
-- row in scopes, written and removed in the transaction that writes and removes it.

-- A fingerprint of the deployment's secret: two gateways with different secrets on one
-- database would refuse each other's things and tokens, so the second one does not start.
create table deployment (
    singleton   boolean primary key default true check (singleton),
    fingerprint bytea not null
);

-- email is kept in lower case, so that "unique" does not depend on the database's collation.
-- tokens_valid_from: a token names the value it was issued under; changing it ends them all.
create table users (
    id                uuid primary key,
    email             text collate "C" not null unique,
    password_hash     text not null,
    metadata          jsonb not null default '{}',
    admin             boolean not null default false,
    tokens_valid_from timestamptz not null default now(),
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create index users_by_time on users (created_at, id);
create index users_admins on users (id) where admin;

-- key_digest finds a thing by its key; key_sealed shows the key to its owner. Neither tells
-- the key to whoever reads the table without the deployment's secret.
create table things (
    id         uuid primary key,
    owner_id   uuid not null references users (id),
    name       text collate "C" not null,
    key_digest bytea not null unique check (octet_length(key_digest) = 32),
    key_sealed bytea not null,
    metadata   jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index things_by_time on things (created_at, id);
create index things_by_name on things (name, id);
create index things_of_owner_by_time on things (owner_id, created_at, id);
create index things_of_owner_by_name on things (owner_id, name, id);
create index things_of_owner_by_id on things (owner_id, id);
create index things_by_metadata on things using gin (metadata jsonb_path_ops);

create table groups (
    id          uuid primary key,
    owner_id    uuid not null references users (id),
    name        text collate "C" not null,
    description text not null default '',
    metadata    jsonb not null default '{}',
    parent_id   uuid references groups (id) on delete set null,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create index groups_by_time on groups (created_at, id);
create index groups_of_owner on groups (owner_id);
create index groups_of_parent on groups (parent_id);

create table group_things (
    group_id    uuid not null references groups (id) on delete cascade,
    thing_id    uuid not null references things (id) on delete cascade,
    assigned_at timestamptz not null default now(),
    primary key (group_id, thing_id)
);
create index group_things_of_group on group_things (group_id, assigned_at, thing_id);
create index group_things_of_thing on group_things (thing_id, assigned_at, group_id);

-- role: 1 viewer, 2 editor, 3 admin, 4 owner. The group's creator has a row here too.
create table group_users (
    group_id    uuid not null references groups (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    role        smallint not null check (role between 1 and 4),
    assigned_at timestamptz not null default now(),
    primary key (group_id, user_id)
);
create index group_users_of_user on group_users (user_id, group_id);
