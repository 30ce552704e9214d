-- Deliveries to webhooks. Whoever holds a webhook's lease delivers to it, one after another.

-- name: claim_webhooks
-- Webhooks that something waits for and that nobody holds. They are found by skipping from
-- one to the next in the index, whatever the number of deliveries.
-- $1 lease  $2 seconds it holds  $3 hosts that are busy enough  $4 limit  $5 users who are
with recursive waiting as (
    (select webhook_id from deliveries where dead_at is null order by webhook_id limit 1)
    union all
    select (select d.webhook_id from deliveries d
             where d.dead_at is null and d.webhook_id > w.webhook_id
             order by d.webhook_id limit 1)
      from waiting w where w.webhook_id is not null
), due as (
    select w.id, t.owner_id from webhooks w join things t on t.id = w.thing_id
     where w.id in (select webhook_id from waiting) and w.disabled is null
       and w.retry_at <= now() and w.leased_until <= now() and w.host <> all ($3::text[])
       and t.owner_id <> all ($5::uuid[])
     order by w.retry_at
     limit $4
       for update of w skip locked
)
update webhooks w set lease = $1, leased_until = now() + make_interval(secs => $2)
  from due where w.id = due.id
returning w.id, w.host, due.owner_id;

-- name: next_delivery
-- The first that waits, with the webhook as it is now; the lease is renewed. No row if there
-- is none, or if the lease was lost. A host that has confirmed another webhook of the same user
-- need not confirm this one. $1 webhook id  $2 lease  $3 seconds
with held as (
    update webhooks set leased_until = now() + make_interval(secs => $3)
     where id = $1 and lease = $2 and leased_until > now() and disabled is null
    returning *
)
select d.id, d.event, d.body, d.attempts, extract(epoch from d.created_at)::float8 as queued_at,
       held.id as webhook_id, held.thing_id, held.url, held.host, held.format, held.failures,
       held.secret, case when held.previous_until > now() then held.previous end as previous,
       held.headers,
       held.unconfirmed and not exists (
           select from webhooks o join things t on t.id = o.thing_id
            where o.host = held.host and not o.unconfirmed and o.disabled is null
              and t.owner_id = (select owner_id from things where id = held.thing_id)
       ) as unconfirmed,
       m.channel_id, m.publisher, m.protocol, m.subtopic, m.received_at, m.body as sent
  from held, deliveries d left join sent_messages m on m.id = d.message_id
 where d.webhook_id = $1 and d.dead_at is null
 order by d.id limit 1;

-- name: finish_delivery
-- It arrived; its message goes with the last that refers to it. Two that end at once see each
-- other: what is left then, the sweeper takes. $1 delivery id  $2 webhook id
with well as (
    update webhooks set failures = 0 where id = $2 and failures > 0
), gone as (
    delete from deliveries where id = $1 returning message_id
)
delete from sent_messages m using gone
 where m.id = gone.message_id
   and not exists (select from deliveries d where d.message_id = m.id and d.id <> $1);

-- name: fail_delivery
-- It did not arrive: the webhook rests, and what was tried or has waited too long is given up.
-- $1 delivery id  $2 webhook id  $3 lease  $4 error  $5 most attempts  $6 longest wait in
-- seconds  $7 first pause  $8 longest pause in seconds  $9 seconds that it rests at least
with rest as (
    update webhooks
       set failures = failures + 1, lease = null, leased_until = '-infinity',
           retry_at = now() + make_interval(
               secs => greatest(
                   $9::float8, least($8::float8, $7::float8 * 2.0 ^ least(failures, 40))
                               * (0.5 + random() / 2)))
     where id = $2 and lease = $3
), old as (
    update deliveries set dead_at = now(), error = $4
     where webhook_id = $2 and dead_at is null and id <> $1
       and created_at < now() - make_interval(secs => $6)
)
update deliveries
   set attempts = attempts + 1, error = $4,
       dead_at = case when attempts + 1 >= $5
                        or created_at < now() - make_interval(secs => $6) then now() end
 where id = $1 and dead_at is null;

-- name: postpone_webhook
-- Nothing was tried. $1 webhook id  $2 lease  $3 seconds to rest  $4 longest wait in seconds
with old as (
    update deliveries set dead_at = now(), error = 'over budget'
     where webhook_id = $1 and dead_at is null
       and created_at < now() - make_interval(secs => $4)
)
update webhooks set lease = null, leased_until = '-infinity',
                    retry_at = now() + make_interval(secs => $3)
 where id = $1 and lease = $2;

-- name: end_webhook
-- What waits are dead letters. $1 webhook id  $2 lease  $3 why  $4 error
with ended as (
    update webhooks set disabled = $3, lease = null, leased_until = '-infinity'
     where id = $1 and lease = $2
    returning id
)
update deliveries d set dead_at = now(), error = $4
  from ended where d.webhook_id = ended.id and d.dead_at is null;

-- name: confirm_webhook
-- $1 webhook id
update webhooks set unconfirmed = false where id = $1 and unconfirmed;

-- name: reserve_webhook_bytes
-- Hours are those of the clock. $1 owner_id  $2 bytes  $3 most bytes in an hour
with reserved as (
    insert into webhook_budgets as b (owner_id, hour, bytes)
    select id, date_trunc('hour', now()), $2 from users where id = $1 and $2::bigint <= $3::bigint
    on conflict (owner_id) do update
       set hour = excluded.hour,
           bytes = excluded.bytes + case when b.hour = excluded.hour then b.bytes else 0 end
     where excluded.bytes + case when b.hour = excluded.hour then b.bytes else 0 end <= $3
    returning 1
)
select exists (select from reserved) as granted,
       extract(epoch from date_trunc('hour', now()) + interval '1 hour' - now())::float8
           as seconds;

-- name: release_webhook
-- $1 webhook id  $2 lease
update webhooks set lease = null, leased_until = '-infinity' where id = $1 and lease = $2;

-- name: remove_dead_deliveries
-- And what waits for webhooks that are gone; what came too late for one that was ended is given
-- up. $1 age in seconds
with late as (
    update deliveries d set dead_at = now(), error = 'disabled'
      from webhooks w where w.id = d.webhook_id and w.disabled is not null and d.dead_at is null
)
delete from deliveries d
 where d.dead_at < now() - make_interval(secs => $1)
    or not exists (select from webhooks w where w.id = d.webhook_id);

-- name: remove_sent_messages
-- Those that no delivery refers to.
delete from sent_messages m
 where not exists (select from deliveries d where d.message_id = m.id);

-- name: outbox_state
-- Of each no more than can be counted at once; oldest is in seconds.
select (select count(*) from (select from deliveries where dead_at is null limit 10000) w) as waiting,
       (select count(*) from (select from deliveries where dead_at is not null limit 10000) d) as dead,
       (select count(*) from (select from webhooks where disabled is not null limit 10000) e)
           as disabled,
       coalesce(extract(epoch from now() - (select min(created_at) from deliveries
                                             where dead_at is null)), 0)::float8 as oldest;
