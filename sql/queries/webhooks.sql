-- Webhooks of things.

-- name: add_webhooks
-- Those of one batch are made a microsecond apart, so that listings keep the batch's order. The
-- thing's row is locked, so that nobody can pass the limit by asking twice at once. A host that has
-- confirmed another webhook of the same user is not asked again.
-- $1 thing_id  $2 most webhooks  $3 ids  $4 names  $5 urls  $6 hosts  $7 formats  $8 messages
-- $9 files  $10 places in the batch  $11 sealed secrets  $12 sealed headers  $13 whether to confirm
with thing as (
    select id, owner_id from things where id = $1 for update
), room as (
    select id, owner_id from thing
     where (select count(*) from webhooks where thing_id = $1) + cardinality($3::uuid[]) <= $2
)
insert into webhooks (id, thing_id, name, url, host, format, messages, files, created_at,
                      secret, headers, unconfirmed)
select w.id, room.id, w.name, w.url, w.host, w.format, w.messages, w.files,
       now() + w.place * interval '1 microsecond', w.secret, w.headers,
       w.asked and not exists (
           select from webhooks o join things t on t.id = o.thing_id
            where o.host = w.host and not o.unconfirmed and o.disabled is null
              and t.owner_id = room.owner_id)
  from room, unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
                    $9::boolean[], $10::int[], $11::bytea[], $12::bytea[], $13::boolean[])
    as w (id, name, url, host, format, messages, files, place, secret, headers, asked);

-- name: webhooks_of_thing
-- What waits and what was given up is counted up to a bound. $1 thing_id  $2 bound
select w.id, w.thing_id, w.name, w.url, w.format, w.messages, w.files, w.failures,
       w.secret is not null as signed, w.headers, w.unconfirmed, w.disabled,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is null limit $2) bounded) as waiting,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is not null limit $2) bounded) as dead
  from webhooks w where w.thing_id = $1
 order by w.created_at, w.id;

-- name: webhook_by_id
-- $1 id  $2 bound
select w.id, w.thing_id, w.name, w.url, w.format, w.messages, w.files, w.failures,
       w.secret is not null as signed, w.headers, w.unconfirmed, w.disabled,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is null limit $2) bounded) as waiting,
       (select count(*) from (select from deliveries d
         where d.webhook_id = w.id and d.dead_at is not null limit $2) bounded) as dead
  from webhooks w where w.id = $1;

-- name: amend_webhook
-- A changed address may work: the next attempt is made at once, and a webhook that was ended is told
-- again what comes from now on. Another host has to confirm, if it is asked.
-- $1 id  $2 name  $3 url  $4 host  $5 format  $6 messages  $7 files  $8 sealed headers
-- $9 whether to confirm
update webhooks w
   set name = $2, url = $3, host = $4, format = $5, messages = $6, files = $7, headers = $8,
       failures = 0, retry_at = '-infinity', disabled = null,
       unconfirmed = case when w.host = $4 then w.unconfirmed else $9 and not exists (
           select from webhooks o join things t on t.id = o.thing_id
            where o.host = $4 and not o.unconfirmed and o.disabled is null
              and t.owner_id = (select owner_id from things where id = w.thing_id)) end
 where id = $1;

-- name: rotate_webhook_secret
-- The secret until now signs, too, for a while. $1 id  $2 sealed secret  $3 seconds
update webhooks
   set previous = secret, previous_until = now() + make_interval(secs => $3), secret = $2
 where id = $1;

-- name: webhooks_sealed_otherwise
-- Those of which something is not under the present secret. $1 what that begins with  $2 id before
-- $3 limit
select id, secret, previous, headers from webhooks
 where id > $2 and (substr(secret, 1, octet_length($1::bytea)) <> $1
                    or substr(previous, 1, octet_length($1::bytea)) <> $1
                    or substr(headers, 1, octet_length($1::bytea)) <> $1)
 order by id limit $3;

-- name: reseal_webhook
-- Unless it was changed meanwhile. $1 id  $2 secret  $3 previous  $4 headers as they were  $5 to $7
-- the same as they are to be
update webhooks set secret = $5, previous = $6, headers = $7
 where id = $1 and secret is not distinct from $2 and previous is not distinct from $3
   and headers is not distinct from $4;

-- name: remove_webhooks
-- With everything that they have not been told. $1 ids
delete from webhooks where id = any ($1::uuid[]);
