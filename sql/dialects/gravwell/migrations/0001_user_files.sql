-- User files are files of the scopes users/<id>. What the product calls GUID, and with whom a
-- file is shared, is in its attributes.

-- One key for each group that a file is shared with, so that the file is found by both at once.
create function gravwell_shares(attributes jsonb) returns text[]
language sql immutable parallel safe as $$
    select array(
        select (attributes ->> 'guid') || '/' || gid
        from jsonb_array_elements_text(attributes -> 'gids') as gid)
$$;

create function gravwell_groups(attributes jsonb) returns integer[]
language sql immutable parallel safe as $$
    select array(select gid::integer from jsonb_array_elements_text(attributes -> 'gids') as gid)
$$;

create index gravwell_own on files (owner, (attributes ->> 'guid'), updated_at)
    where kind = 'users' and attributes ? 'guid';
create index gravwell_shared on files using gin (gravwell_shares(attributes))
    where kind = 'users' and attributes ? 'guid';
create index gravwell_by_group on files using gin (gravwell_groups(attributes))
    where kind = 'users' and attributes ? 'guid';
create index gravwell_global on files ((attributes ->> 'guid'), updated_at)
    where kind = 'users' and attributes ? 'guid' and attributes ->> 'global' = 'true';

-- What a GUID means to somebody may change with any file of that GUID, whatever its name and
-- whoever owns it: gateways forget what they keep, as when rights change.
create function gravwell_announce() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_changes', 'identity');
    return null;
end $$;

create trigger gravwell_made after insert on files for each row
    when (new.kind = 'users' and new.attributes ? 'guid') execute function gravwell_announce();
create trigger gravwell_changed after update on files for each row
    when (new.kind = 'users' and new.attributes ? 'guid') execute function gravwell_announce();
create trigger gravwell_removed after delete on files for each row
    when (old.kind = 'users' and old.attributes ? 'guid') execute function gravwell_announce();
