-- What an incident needs: who did what from where; keys that may little, and when they were used;
-- invitations, which show that an address is somebody's own, and grants that wait for that.

-- Where a change came from, and what it was. Rows about files alone have neither.
alter table audit add column address text;
alter table audit add column detail jsonb;

-- Whether an account has shown that its e-mail is its own. Those that are there count as having.
alter table users add column verified boolean not null default true;
alter table users alter column verified set default false;

-- Whether the account's things prove nothing either while it is locked.
alter table users add column things_locked boolean not null default false;

-- What a key may at most. With its group or thing the key goes: without it, it would be unlimited.
alter table api_keys add column label text not null default '';
alter table api_keys add column read_only boolean not null default false;
alter table api_keys add column group_id uuid references groups (id) on delete cascade;
alter table api_keys add column thing_id uuid references things (id) on delete cascade;
alter table api_keys add constraint api_keys_of_one check (num_nonnulls(group_id, thing_id) <= 1);
create index api_keys_of_group on api_keys (group_id) where group_id is not null;
create index api_keys_of_thing on api_keys (thing_id) where thing_id is not null;

-- A table of its own: writing to api_keys makes every gateway forget what it knows.
create table key_uses (
    key_id  uuid primary key references api_keys (id) on delete cascade,
    used_at timestamptz not null
);

-- Application tokens and the like that are kept elsewhere, and are older than this, are over.
alter table users add column keys_valid_from timestamptz not null default '-infinity';

-- One-time tokens, kept as digests. An invitation without a group or org is to an account; one with
-- is a role that waits for whoever has the address. A row that is gone was used or revoked.
-- Without an inviter it was made by a command.
create table invitations (
    id         uuid primary key,
    email      text collate "C" not null,
    digest     bytea not null unique check (octet_length(digest) = 32),
    inviter_id uuid references users (id) on delete cascade,
    group_id   uuid references groups (id) on delete cascade,
    org_id     uuid references orgs (id) on delete cascade,
    user_id    uuid references users (id) on delete cascade,
    role       smallint check (role between 1 and 4),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    check (num_nonnulls(group_id, org_id) = num_nonnulls(role)),
    check (num_nonnulls(user_id) = num_nonnulls(role))
);
create unique index invitations_to_account on invitations (email)
 where group_id is null and org_id is null;
create unique index invitations_to_group on invitations (group_id, user_id) where group_id is not null;
create unique index invitations_to_org on invitations (org_id, user_id) where org_id is not null;
create index invitations_by_time on invitations (created_at, id);
create index invitations_of_user on invitations (user_id) where user_id is not null;

create table password_resets (
    user_id    uuid primary key references users (id) on delete cascade,
    digest     bytea not null unique check (octet_length(digest) = 32),
    expires_at timestamptz not null
);
