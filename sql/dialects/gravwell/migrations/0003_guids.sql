-- As gravwell_announce was, but it says which GUID may mean another file, so that nobody forgets what was
-- read by others.

create or replace function gravwell_announce() returns trigger language plpgsql as $$
declare
    guid text := coalesce(new.attributes, old.attributes) ->> 'guid';
begin
    perform pg_notify('gateway_changes',
                      'rights ' || coalesce(new.owner, old.owner) || ' guid/' || guid);
    if old.owner <> new.owner then
        perform pg_notify('gateway_changes', 'rights ' || old.owner);
    end if;
    return null;
end $$;
