-- Blobs in quarantine, and how far the hashing of all blobs has come.

-- name: quarantine_blob
-- Unless it was condemned meanwhile. Those who keep what is known of the file are told, and so is who
-- is just sending it; webhooks and the audit hear of it once. Whether it is new there.
-- $1 blob id  $2 what  $3 detail  $4 found by
with live as (
    select id, size, sha256 from blobs where id = $1 and condemned_until is null for key share
), put as (
    insert into quarantine as q (blob_id, what, detail, found_by) select id, $2::text, $3::text, $4::text from live
    on conflict (blob_id) do update set what = excluded.what, detail = excluded.detail
    where (q.what, q.detail) <> (excluded.what, excluded.detail)
    returning blob_id, xmax = 0 as is_new
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor, detail)
    select 'quarantined', f.kind, f.owner, f.name, f.blob_id, $4::text, jsonb_build_object('what', $2::text)
    from put join files f on f.blob_id = put.blob_id where put.is_new
)
select f.kind, f.owner, f.name,
       pg_notify('gateway_changes', jsonb_build_array(f.kind, f.owner, f.name)::text),
       pg_notify('gateway_changes', 'quarantined ' || f.blob_id),
       tell_of_file('damaged', f.kind, f.owner, f.name, live.size, live.sha256, f.content_type)
from put join live on live.id = put.blob_id join files f on f.blob_id = put.blob_id
where put.is_new;

-- name: release_blob
-- Its bytes are right again. $1 blob id  $2 found by
with gone as (
    delete from quarantine where blob_id = $1 returning blob_id
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'released', f.kind, f.owner, f.name, f.blob_id, $2
    from gone join files f on f.blob_id = gone.blob_id
)
select f.kind, f.owner, f.name,
       pg_notify('gateway_changes', jsonb_build_array(f.kind, f.owner, f.name)::text),
       tell_of_file('repaired', f.kind, f.owner, f.name, b.size, b.sha256, f.content_type)
from gone join files f on f.blob_id = gone.blob_id join blobs b on b.id = f.blob_id;

-- name: quarantined_after
-- The oldest first; what no file has any more does not count. $1 found at  $2 blob id  $3 limit
select q.what, q.detail, q.found_by, q.found_at, f.kind as file_kind, f.owner as file_owner, f.name,
       b.id, b.kind, b.owner, b.size, b.sha256, b.md5
from quarantine q join files f on f.blob_id = q.blob_id join blobs b on b.id = q.blob_id
where (q.found_at, q.blob_id) > ($1, $2)
order by q.found_at, q.blob_id limit $3;

-- name: count_quarantined
-- $1 limit
select count(*) from (
    select from quarantine q join files f on f.blob_id = q.blob_id limit $1) counted;

-- name: live_blobs_between
-- $1 blob id after which to begin  $2 the last id  $3 limit
select id, kind, owner, size, sha256, md5 from blobs
where id > $1 and id <= $2 and condemned_until is null order by id limit $3;

-- name: is_in_quarantine
-- Which of these are. $1 blob ids
select blob_id from quarantine where blob_id = any ($1::uuid[]);

-- name: begin_scrub
-- If none of its kind is under way. $1 kind
insert into scrubs (kind) values ($1) on conflict (kind) where ended_at is null do nothing
returning id;

-- name: divide_scrub
-- $1 scrub id  $2 portions  $3 the ids after which they begin
insert into scrub_portions (scrub_id, portion, after)
select $1, portion, after from unnest($2::smallint[], $3::uuid[]) as p (portion, after);

-- name: scrub_under_way
-- $1 kind
select id from scrubs where kind = $1 and ended_at is null;

-- name: scrub_is_due
-- Whether every blob was hashed longer ago than that, or one such pass is under way. $1 days
select not exists (
    select from scrubs where ended_at is not null
    and started_at > now() - make_interval(secs => 86400 * $1::float8));

-- name: hold_scrub
-- Until the transaction ends nobody else claims a portion of it. $1 scrub id
select id from scrubs where id = $1 and ended_at is null for update;

-- name: claim_portion
-- After hold_scrub. $1 scrub id  $2 lease  $3 its seconds  $4 most that are leased at once
update scrub_portions p set lease = $2, leased_until = now() + make_interval(secs => $3)
where p.scrub_id = $1 and p.portion = (
    select portion from scrub_portions
    where scrub_id = $1 and not done and leased_until < now()
      and $4 > (select count(*) from scrub_portions
                where scrub_id = $1 and not done and leased_until >= now())
    order by portion limit 1)
returning p.portion, p.after;

-- name: advance_portion
-- No row if the lease was lost. $1 scrub id  $2 lease  $3 its seconds  $4 up to which blob, or null
-- $5 more blobs  $6 more bytes  $7 done
update scrub_portions set after = coalesce($4, after), blobs = blobs + $5, bytes = bytes + $6,
    done = $7, leased_until = now() + make_interval(secs => $3)
where scrub_id = $1 and lease = $2 and leased_until >= now()
returning portion;

-- name: let_go_of_portion
-- $1 scrub id  $2 lease
update scrub_portions set leased_until = '-infinity' where scrub_id = $1 and lease = $2;

-- name: end_scrub
-- If all of it is done. $1 scrub id
update scrubs set ended_at = now()
where id = $1 and ended_at is null
  and not exists (select from scrub_portions where scrub_id = $1 and not done);

-- name: scrub_progress
-- $1 scrub id
select s.ended_at is not null as ended, sum(p.blobs)::bigint as blobs, sum(p.bytes)::bigint as bytes,
       bool_or(not p.done and p.leased_until >= now()) as is_worked_on
from scrubs s join scrub_portions p on p.scrub_id = s.id where s.id = $1 group by s.id;

-- name: forget_scrubs
delete from scrubs where ended_at < now() - interval '1 year';
