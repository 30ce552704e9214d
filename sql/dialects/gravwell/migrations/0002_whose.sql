-- As gravwell_announce was, but it says whose file it is, so that uploads of others go on unasked.

create or replace function gravwell_announce() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_changes', 'rights ' || coalesce(new.owner, old.owner));
    if old.owner <> new.owner then
        perform pg_notify('gateway_changes', 'rights ' || old.owner);
    end if;
    return null;
end $$;
