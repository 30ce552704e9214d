-- Applications own private files: scopes applications/<24 hex digits>. Their tokens and log-ins, and
-- for each file what its listings are sorted and filtered by.

create table losant_applications (
    id          text primary key check (id ~ '^[0-9a-f]{24}$'),
    user_id     uuid references users (id) on delete cascade,
    org_id      uuid references orgs (id) on delete cascade,
    name        text collate "C" not null,
    description text not null default '',
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp(),
    check (num_nonnulls(user_id, org_id) = 1)
);
create index losant_applications_of_user on losant_applications (user_id);
create index losant_applications_of_org on losant_applications (org_id);

-- Whoever removes an application by itself has removed its scope before, with the grace that is
-- configured. One that goes with its org has it removed here, in the same order (see scopes.sql).
create function losant_remove_scope() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('applications/' || old.id, 0));
    perform from scopes where kind = 'applications' and owner = old.id for update;
    if found then
        update blobs set condemned_until = now() + interval '1 hour'
        from files
        where files.kind = 'applications' and files.owner = old.id and blobs.id = files.blob_id
          and blobs.condemned_until is null;
        delete from scopes where kind = 'applications' and owner = old.id;
        insert into audit (event, kind, owner, name, actor)
        values ('removed', 'applications', old.id, '', 'cascade');
    end if;
    return null;
end $$;
create trigger losant_application_removed after delete on losant_applications
    for each row execute function losant_remove_scope();

-- A token is valid because its row is there, active and not over; it is known by its digest only.
create table losant_tokens (
    id           text primary key check (id ~ '^[0-9a-f]{24}$'),
    application  text not null references losant_applications (id) on delete cascade,
    digest       bytea not null unique check (octet_length(digest) = 32),
    name         text collate "C" not null,
    description  text not null default '',
    scopes       text[] not null,
    active       boolean not null default true,
    creator_id   text not null,
    creator_type text not null,
    created_at   timestamptz not null default clock_timestamp(),
    updated_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz
);
create index losant_tokens_of_application on losant_tokens (application, name, id);

-- Log-ins that asked for less than all that their user may. They end with the user's other log-ins.
create table losant_logins (
    digest     bytea primary key check (octet_length(digest) = 32),
    user_id    uuid not null references users (id) on delete cascade,
    scopes     text[] not null,
    valid_from timestamptz not null,
    expires_at timestamptz not null
);
create index losant_logins_by_time on losant_logins (expires_at);

create trigger losant_applications_changed after update or delete on losant_applications
    for each statement execute function announce_identity();
create trigger losant_tokens_changed after update or delete on losant_tokens
    for each statement execute function announce_identity();

-- Moves and removals of whole directories, which take many transactions. Nothing is put into, and
-- nothing but single files is taken out of, what is below from_path and to_path while one is there;
-- paths begin and end with a slash. Until due_at a worker has it.
create table losant_jobs (
    id          bigint generated always as identity primary key,
    application text not null references losant_applications (id) on delete cascade,
    kind        text not null check (kind in ('move', 'delete')),
    from_path   text not null,
    to_path     text,
    from_id     uuid not null,
    to_id       uuid,
    actor       text not null,
    due_at      timestamptz not null default now(),
    check ((kind = 'move') = (to_path is not null and to_id is not null))
);
create index losant_jobs_due on losant_jobs (due_at, id);
create index losant_jobs_of_application on losant_jobs (application);

-- Directories whose contents a move has yet to take over.
create table losant_steps (
    id        bigint generated always as identity primary key,
    job       bigint not null references losant_jobs (id) on delete cascade,
    from_path text not null,
    to_path   text not null
);
create index losant_steps_of_job on losant_steps (job, id);

-- What a path is looked up by, since a path may be longer than what an index takes. A directory is
-- found under the same digest whether or not its path ends with a slash.
create function losant_digest(path text) returns bytea language sql immutable as $$
    select sha256(convert_to(case when path = '/' then path else rtrim(path, '/') end, 'UTF8'))
$$;

-- A row for each file and directory, kept by the triggers below; what it says is in the file's
-- attributes. sort_name is as much of the name as an index takes.
create table losant_files (
    id          uuid primary key references files (id) on delete cascade,
    application text not null,
    directory   bytea not null,
    place       bytea not null,
    name        text collate "C" not null,
    sort_name   text collate "C" not null generated always as (left(name, 256)) stored,
    type        text not null check (type in ('file', 'directory')),
    status      text not null check (status in ('pending', 'completed', 'moving', 'deleting')),
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    expires_at  timestamptz,
    constraint losant_files_place unique (application, place)
);
create index losant_files_in_by_name on losant_files
    (application, directory, sort_name, id) include (type, status);
create index losant_files_in_by_type on losant_files (application, directory, type, id)
    include (status);
create index losant_files_in_by_created on losant_files (application, directory, created_at, id)
    include (type, status);
create index losant_files_in_by_updated on losant_files (application, directory, updated_at, id)
    include (type, status);
create index losant_files_by_name on losant_files (application, sort_name, id)
    include (type, status);
create index losant_files_by_type on losant_files (application, type, id) include (status);
create index losant_files_by_created on losant_files (application, created_at, id)
    include (type, status);
create index losant_files_by_updated on losant_files (application, updated_at, id)
    include (type, status);
create index losant_files_expiring on losant_files (expires_at) where expires_at is not null;

-- Whoever puts something into a directory shares the lock of the application's tree; whoever starts
-- to move or remove a directory takes it alone. It is taken after that of the scope.
create function losant_place_file() returns trigger language plpgsql as $$
declare
    parent text := new.attributes ->> 'parent';
    own_path text := parent || (new.attributes ->> 'name');
begin
    if tg_op = 'UPDATE' then
        update losant_files set
            directory = losant_digest(parent), place = losant_digest(own_path),
            name = new.attributes ->> 'name', status = new.attributes ->> 'status',
            updated_at = new.updated_at,
            expires_at = to_timestamp((new.attributes ->> 'expires')::float8)
        where id = new.id;
        return null;
    end if;
    perform pg_advisory_xact_lock_shared(hashtextextended('losant/' || new.owner, 0));
    if exists (
        select from losant_jobs j where j.application = new.owner
           and (starts_with(own_path || '/', j.from_path) or starts_with(own_path || '/', j.to_path))
    ) then
        raise exception using errcode = 'unique_violation', constraint = 'losant_tree_busy',
            message = 'the directory is being moved or removed';
    end if;
    if parent <> '/' and not exists (
        select from losant_files d where d.application = new.owner
           and d.place = losant_digest(parent) and d.type = 'directory'
    ) then
        raise exception using errcode = 'foreign_key_violation', constraint = 'losant_parent',
            message = 'no such directory';
    end if;
    insert into losant_files (
        id, application, directory, place, name, type, status, created_at, updated_at, expires_at)
    values (
        new.id, new.owner, losant_digest(parent), losant_digest(own_path),
        new.attributes ->> 'name', new.attributes ->> 'type', new.attributes ->> 'status',
        new.created_at, new.updated_at, to_timestamp((new.attributes ->> 'expires')::float8));
    return null;
end $$;
create trigger losant_file_placed after insert or update on files
    for each row when (new.kind = 'applications') execute function losant_place_file();
