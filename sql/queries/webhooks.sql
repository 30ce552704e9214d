-- Webhooks of things.

-- name: add_webhooks
-- Those of one batch are made a microsecond apart, so that listings keep the batch's order. The
-- thing's row is locked, so that nobody can pass the limit by asking twice at once.
-- $1 thing_id  $2 most webhooks  $3 ids  $4 names  $5 urls  $6 hosts  $7 formats  $8 messages
-- $9 files  $10 places in the batch
with thing as (
    select id from things where id = $1 for update
), room as (
    select thing.id from thing
     where (select count(*) from webhooks where thing_id = $1) + cardinality($3::uuid[]) <= $2
)
insert into webhooks (id, thing_id, name, url, host, format, messages, files, created_at)
select w.id, room.id, w.name, w.url, w.host, w.format, w.messages, w.files,
       now() + w.place * interval '1 microsecond'
  from room, unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
                    $9::boolean[], $10::int[])
    as w (id, name, url, host, format, messages, files, place);

-- name: webhooks_of_thing
-- What waits and what was given up is counted up to a bound. $1 thing_id  $2 bound
select w.id, w.thing_id, w.name, w.url, w.format, w.messages, w.files, w.failures,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is null limit $2) bounded) as waiting,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is not null limit $2) bounded) as dead
  from webhooks w where w.thing_id = $1
 order by w.created_at, w.id;

-- name: webhook_by_id
-- $1 id  $2 bound
select w.id, w.thing_id, w.name, w.url, w.format, w.messages, w.files, w.failures,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is null limit $2) bounded) as waiting,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is not null limit $2) bounded) as dead
  from webhooks w where w.id = $1;

-- name: amend_webhook
-- A changed address may work: the next attempt is made at once.
-- $1 id  $2 name  $3 url  $4 host  $5 format  $6 messages  $7 files
update webhooks
   set name = $2, url = $3, host = $4, format = $5, messages = $6, files = $7,
       failures = 0, retry_at = '-infinity'
 where id = $1;

-- name: remove_webhooks
-- With everything that they have not been told. $1 ids
delete from webhooks where id = any ($1::uuid[]);
