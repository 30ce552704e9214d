-- Webhooks of things, and the outbox of what they have not been told yet.

-- Several gateways share the work: one holds a webhook (lease, until leased_until) and delivers
-- to it in order. failures is how many attempts in a row failed; no other is made until retry_at.
-- owner is what the thing's files have as their owner, for the statements that change files.
create table webhooks (
    id           uuid primary key,
    thing_id     uuid not null references things (id) on delete cascade,
    owner        text not null generated always as (thing_id::text) stored,
    name         text not null,
    url          text not null,
    host         text not null,
    format       text not null check (format in ('senml', 'json')),
    messages     boolean not null,
    files        boolean not null,
    created_at   timestamptz not null default now(),
    failures     int not null default 0,
    retry_at     timestamptz not null default '-infinity',
    lease        uuid,
    leased_until timestamptz not null default '-infinity'
);
create index webhooks_of_thing on webhooks (thing_id, created_at, id);
create index webhooks_of_files on webhooks (owner) where files;

-- webhook_id has no foreign key: checking it would lock the webhook, and a change of a file that
-- did so could wait for a removal of its thing that waits for the change. What is left of a
-- webhook that is gone, the sweeper takes. body is JSON: a message as it was taken, or what happened to a file. A delivery that was
-- given up stays, with dead_at, until somebody has had time to look at it.
create table deliveries (
    id         bigint generated always as identity primary key,
    webhook_id uuid not null,
    event      text not null,
    body       text not null,
    created_at timestamptz not null default now(),
    attempts   int not null default 0,
    error      text,
    dead_at    timestamptz
);
create index deliveries_waiting on deliveries (webhook_id, id) where dead_at is null;
create index deliveries_dead on deliveries (webhook_id, id) where dead_at is not null;
create index deliveries_dead_by_time on deliveries (dead_at) where dead_at is not null;

-- Wakes whoever delivers. For each row, so that a change that tells nobody pays nothing; a
-- transaction's equal notifications are one.
create function announce_delivery() returns trigger language plpgsql as $$
begin
    perform pg_notify('gateway_changes', 'deliveries');
    return null;
end $$;

create trigger delivery_added after insert on deliveries
    for each row execute function announce_delivery();
