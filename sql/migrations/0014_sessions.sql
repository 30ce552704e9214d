-- Users own files, as things and groups do; groups have a number beside their id, as users have,
-- for APIs whose ids are 32-bit integers; a session can be ended, an account can be locked.

insert into scopes (kind, owner) select 'users', id::text from users on conflict do nothing;

-- A trigger, so that an account that an older gateway makes beside us has its scope, too.
create function add_user_scope() returns trigger language plpgsql as $$
begin
    insert into scopes (kind, owner) values ('users', new.id::text) on conflict do nothing;
    return null;
end $$;

create trigger users_own_files after insert on users
    for each row execute function add_user_scope();

alter table groups add column number integer not null generated always as identity unique;

-- Who is locked proves nothing, by password, token or key, until unlocked.
alter table users add column locked boolean not null default false;

-- Tokens of logins that were ended before their time, until that is over.
create table ended_tokens (
    id         uuid primary key,
    expires_at timestamptz not null
);
create index ended_tokens_by_time on ended_tokens (expires_at);

create trigger tokens_ended after insert on ended_tokens
    for each statement execute function announce_identity();
