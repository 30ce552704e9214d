-- What happened. Rows about files and scopes are written by the statements that change those.

-- name: note_event
-- $1 event  $2 kind  $3 owner  $4 actor  $5 address or null  $6 detail
insert into audit (event, kind, owner, name, actor, address, detail)
values ($1, $2, $3, '', $4, $5, $6);

-- name: list_events
-- Newest first, of those before a place. However few pass, no more than $9 are looked at; each row
-- says how many it were, and where the last of them is. One row without an event: none passes.
-- $1 since or null  $2 before: the time or null  $3 and the id  $4 event or null  $5 kind or null
-- $6 owner or null  $7 actor or null  $8 address or null  $9 how many to look at  $10 limit
with looked as materialized (
    select * from audit
     where ($1::timestamptz is null or at >= $1)
       and ($2::timestamptz is null or (at <= $2 and (at, id) < ($2, $3::bigint)))
     order by at desc, id desc
     limit $9::bigint
), final as (
    select at as final_at, id as final_id, (select count(*) from looked) as looked
      from looked order by at, id limit 1
)
select final.*, found.*
  from final left join lateral (
    select id, at, event, kind, owner, name, blob_id, actor, address, detail
      from looked
     where ($4::text is null or event = $4) and ($5::text is null or kind = $5)
       and ($6::text is null or owner = $6) and ($7::text is null or actor = $7)
       and ($8::text is null or address = $8)
     order by at desc, id desc
     limit $10::bigint) found on true
 order by found.at desc, found.id desc;

-- name: events_since
-- Oldest first. $1 since or null  $2 until or null
select id, at, event, kind, owner, name, blob_id, actor, address, detail
  from audit
 where ($1::timestamptz is null or at >= $1) and ($2::timestamptz is null or at < $2)
 order by at, id;

-- name: forget_events
-- A batch of those that are older. $1 how many days are kept  $2 how many go at once
delete from audit where id in (
    select id from audit where at < now() - make_interval(days => $1::int) order by at limit $2);
