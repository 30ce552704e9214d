-- NOTIFY makes commits wait for each other, on the whole server. What a message puts into the outbox is
-- announced by the gateway that took it, a few times a second at most, and no longer by each row; an
-- event of a file, only if nothing waited for its webhook, which else is being delivered to anyway.
create or replace function announce_delivery() returns trigger language plpgsql as $$
begin
    if new.message_id is null and not exists (
        select from deliveries
         where webhook_id = new.webhook_id and dead_at is null and id < new.id
    ) then
        perform pg_notify('gateway_changes', 'deliveries');
    end if;
    return null;
end $$;
