-- Keys that users issue to programs. The key itself is a signed token and is not kept: its
-- row is what makes it valid, so removing the row ends it, and every key issued with it.
-- type: 0 login, 1 recovery, 2 API.
create table api_keys (
    id         uuid primary key,
    user_id    uuid not null references users (id) on delete cascade,
    parent_id  uuid references api_keys (id) on delete cascade,
    type       smallint not null check (type between 0 and 2),
    issued_at  timestamptz not null,
    expires_at timestamptz
);
create index api_keys_of_user on api_keys (user_id, issued_at, id);
create index api_keys_of_parent on api_keys (parent_id);

create trigger api_keys_changed after update or delete on api_keys
    for each statement execute function announce_identity();
