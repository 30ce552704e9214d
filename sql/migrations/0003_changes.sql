-- Gateways keep what they read for a moment; these tell them when it has changed.
-- Replaced and removed files are announced by the statements that do it (files.sql):
-- creating a file announces nothing, because NOTIFY makes commits wait for each other.

create function announce_identity() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_changes', 'identity');
    return null;
end $$;

create trigger users_changed after update or delete on users
    for each statement execute function announce_identity();
create trigger things_changed after update or delete on things
    for each statement execute function announce_identity();
create trigger groups_changed after update or delete on groups
    for each statement execute function announce_identity();
create trigger group_things_changed after insert or update or delete on group_things
    for each statement execute function announce_identity();
create trigger group_users_changed after insert or update or delete on group_users
    for each statement execute function announce_identity();
