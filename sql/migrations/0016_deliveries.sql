-- Webhooks get a message as its thing sent it, kept once for all of them; they are signed, confirmed,
-- and ended by who does not want them any more; a user's deliveries have a budget.

-- json and senml are, as with Mainflux, the message as it was sent. What they were until now goes on
-- under names of its own: records, a list of messages as they are read back, and resolved, a SenML
-- pack without base fields.
alter table webhooks drop constraint webhooks_format_check;
update webhooks set format = case format when 'json' then 'records' else 'resolved' end;
alter table webhooks add constraint webhooks_format_check
    check (format in ('senml', 'json', 'records', 'resolved'));

-- Secrets and own headers are sealed by the gateway. The previous secret signs, too, until its time is over.
-- unconfirmed: the host has not said yet that it wants to hear of us. disabled: why nothing is
-- delivered any more.
alter table webhooks
    add column secret         bytea,
    add column previous       bytea,
    add column previous_until timestamptz not null default '-infinity',
    add column headers        bytea,
    add column unconfirmed    boolean not null default false,
    add column disabled       text check (disabled in ('gone', 'unconfirmed'));
create index webhooks_disabled on webhooks (id) where disabled is not null;
create index webhooks_of_host on webhooks (host) where not unconfirmed;

-- What a thing sent, for as long as a delivery refers to it; the sweeper takes what none does.
-- received_at is what relative times count from, in seconds since 1970.
create table sent_messages (
    id          bigint generated always as identity primary key,
    channel_id  uuid not null,
    publisher   uuid not null,
    protocol    text not null,
    subtopic    text not null,
    received_at float8 not null,
    body        bytea not null
);

-- A delivery of a message has it in sent_messages and an empty body, one of an event its body. Those
-- that an earlier gateway queued have the message, resolved, in their body.
alter table deliveries add column message_id bigint;
create index deliveries_of_message on deliveries (message_id) where message_id is not null;
create index deliveries_by_age on deliveries (created_at) where dead_at is null;

-- What was delivered for a user in the hour that began then.
create table webhook_budgets (
    owner_id uuid primary key references users (id) on delete cascade,
    hour     timestamptz not null,
    bytes    bigint not null
);

create or replace function tell_of_file(
    event text, kind text, owner text, name text, size bigint, sha256 bytea, content_type text
) returns bigint language sql volatile as $$
    with told as (
        insert into deliveries (webhook_id, event, body)
        select w.id, 'files', jsonb_build_object(
            'event', $1, 'kind', $2, 'owner', $3, 'name', $4, 'size', $5,
            'sha256', encode($6, 'hex'), 'content_type', $7,
            'time', extract(epoch from clock_timestamp()))::text
        from webhooks w where $2 = 'things' and w.owner = $3 and w.files and w.disabled is null
        returning 1
    )
    select count(*) from told
$$;
