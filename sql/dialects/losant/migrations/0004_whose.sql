-- Which application it is, so that those of others are not forgotten. Without a lock: who commits
-- something into one that goes finds its scope closed.

create function losant_announce_application() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_changes', 'rights ' || old.id);
    return null;
end $$;

drop trigger losant_applications_changed on losant_applications;
create trigger losant_applications_changed after update or delete on losant_applications
    for each row execute function losant_announce_application();
