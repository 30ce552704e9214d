-- Work that one gateway at a time does for all of them.

-- name: take_lease
-- Unless somebody has it, or it was done a moment ago. done_at is null if it never was.
-- $1 name  $2 holder  $3 seconds that it is held  $4 seconds that must have gone by since
with taken as (
    insert into leases as l (name, holder, until)
    values ($1, $2, clock_timestamp() + make_interval(secs => $3))
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
     where l.until <= clock_timestamp()
       and l.done_at <= clock_timestamp() - make_interval(secs => $4)
    returning 1
)
select exists (select from taken) as taken,
       (select extract(epoch from nullif(done_at, '-infinity'))::float8 from leases where name = $1)
           as done_at;

-- name: renew_lease
-- A row if it is still ours. $1 name  $2 holder  $3 seconds
update leases set until = clock_timestamp() + make_interval(secs => $3)
 where name = $1 and holder = $2 returning 1;

-- name: end_lease
-- $1 name  $2 holder  $3 whether the work came to its end
update leases set until = '-infinity',
                  done_at = case when $3::boolean then clock_timestamp() else done_at end
 where name = $1 and holder = $2;
