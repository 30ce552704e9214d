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
     where w.id in (select webhook_id from waiting)
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
-- is none, or if the lease was lost. $1 webhook id  $2 lease  $3 seconds
with held as (
    update webhooks set leased_until = now() + make_interval(secs => $3)
     where id = $1 and lease = $2 and leased_until > now()
    returning id, thing_id, url, host, format
)
select d.id, d.event, d.body, d.attempts, held.id as webhook_id, held.thing_id, held.url,
       held.host, held.format, m.channel_id, m.publisher, m.protocol, m.subtopic, m.received_at,
       m.body as sent
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
-- seconds  $7 first pause  $8 longest pause in seconds
with rest as (
    update webhooks
       set failures = failures + 1, lease = null, leased_until = '-infinity',
           retry_at = now() + make_interval(
               secs => least($8::float8, $7::float8 * 2.0 ^ least(failures, 40))
                       * (0.5 + random() / 2))
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

-- name: release_webhook
-- $1 webhook id  $2 lease
update webhooks set lease = null, leased_until = '-infinity' where id = $1 and lease = $2;

-- name: remove_dead_deliveries
-- And what waits for webhooks that are gone. $1 age in seconds
delete from deliveries d
 where d.dead_at < now() - make_interval(secs => $1)
    or not exists (select from webhooks w where w.id = d.webhook_id);

-- name: remove_sent_messages
-- Those that no delivery refers to.
delete from sent_messages m
 where not exists (select from deliveries d where d.message_id = m.id);

-- name: count_deliveries
-- Of each no more than can be counted at once.
select (select count(*) from (select from deliveries where dead_at is null limit 10000) w) as waiting,
       (select count(*) from (select from deliveries where dead_at is not null limit 10000) d) as dead;
