-- Listings of private files, and what moves, removes and expires them. Paths begin and end with a slash.

-- name: list_in
-- What is in a directory: the page's ids off an index, then a look at each (the offset keeps the
-- planner, which does not know how few they are, from reading all files). $1 application
-- $2 the directory's path  $3 type or ''  $4 status or ''  $5 limit  $6 offset
select f.* from (
    select id, row_number() over () as place from (
        select id from losant_files
         where application = $1 and directory = losant_digest($2)
           and ($3 = '' or type = $3) and ($4 = '' or status = $4)
         order by {order} limit $5 offset $6) wanted) page
cross join lateral (select * from file_rows r where r.id = page.id offset 0) f
order by page.place;

-- name: find_in
-- As list_in, of names that are like a pattern. $5 pattern  $6 limit  $7 offset
select f.* from (
    select id, row_number() over () as place from (
        select id from losant_files
         where application = $1 and directory = losant_digest($2)
           and ($3 = '' or type = $3) and ($4 = '' or status = $4)
           and name like $5
         order by {order} limit $6 offset $7) wanted) page
cross join lateral (select * from file_rows r where r.id = page.id offset 0) f
order by page.place;

-- name: count_in
-- As find_in.
select count(*) from losant_files
 where application = $1 and directory = losant_digest($2)
   and ($3 = '' or type = $3) and ($4 = '' or status = $4)
   and name like $5;

-- name: known_in
-- The same without a pattern, as it is kept. $1 application  $2 path  $3 type or ''  $4 status or ''
select coalesce(sum(files), 0)::bigint from losant_counts
 where application = $1 and directory = losant_digest($2)
   and ($3 = '' or type = $3) and ($4 = '' or status = $4);

-- name: list_all
-- What is in any directory; $2 is null.
select f.* from (
    select id, row_number() over () as place from (
        select id from losant_files
         where application = $1 and $2::text is null
           and ($3 = '' or type = $3) and ($4 = '' or status = $4)
         order by {order} limit $5 offset $6) wanted) page
cross join lateral (select * from file_rows r where r.id = page.id offset 0) f
order by page.place;

-- name: find_all
-- As list_all, of names that are like a pattern. $5 pattern  $6 limit  $7 offset
select f.* from (
    select id, row_number() over () as place from (
        select id from losant_files
         where application = $1 and $2::text is null
           and ($3 = '' or type = $3) and ($4 = '' or status = $4)
           and name like $5
         order by {order} limit $6 offset $7) wanted) page
cross join lateral (select * from file_rows r where r.id = page.id offset 0) f
order by page.place;

-- name: count_all
-- As find_all.
select count(*) from losant_files
 where application = $1 and $2::text is null
   and ($3 = '' or type = $3) and ($4 = '' or status = $4)
   and name like $5;

-- name: known_all
-- The same without a pattern, as it is kept; $2 is null.
select coalesce(sum(files), 0)::bigint from losant_counts
 where application = $1 and directory is null and $2::text is null
   and ($3 = '' or type = $3) and ($4 = '' or status = $4);

-- name: settle_counts
-- Sum up what was added since the last time, of some directories. $1 how many rows are looked at
with waiting as (
    select id, application, directory from losant_counts where not settled
    order by id limit $1 for update skip locked
), gone as (
    delete from losant_counts c
    where id in (select id from waiting) or (settled and exists (
        select from waiting w where w.application = c.application
           and w.directory is not distinct from c.directory))
    returning application, directory, type, status, files
), kept as (
    insert into losant_counts (application, directory, type, status, files, settled)
    select application, directory, type, status, sum(files), true from gone
    group by application, directory, type, status having sum(files) <> 0
)
select count(*) from waiting;

-- order: list_in lastupdated = updated_at
-- order: find_in lastupdated = updated_at
-- order: list_in creationdate = created_at
-- order: find_in creationdate = created_at
-- order: list_in type = type
-- order: find_in type = type
-- order: list_in name = sort_name
-- order: find_in name = sort_name
-- order: list_all lastupdated = updated_at
-- order: find_all lastupdated = updated_at
-- order: list_all creationdate = created_at
-- order: find_all creationdate = created_at
-- order: list_all type = type
-- order: find_all type = type
-- order: list_all name = sort_name
-- order: find_all name = sort_name

-- name: type_at
-- What is at a path, if anything. $1 application  $2 path
select type from losant_files where application = $1 and place = losant_digest($2);

-- name: share_scope
-- $1 scope, as kind/owner
select pg_advisory_xact_lock_shared(hashtextextended($1, 0));

-- name: share_tree
-- $1 application
select pg_advisory_xact_lock_shared(hashtextextended('losant/' || $1::text, 0));

-- name: hold_tree
-- Waits for whoever is putting something into a directory. $1 application
select pg_advisory_xact_lock(hashtextextended('losant/' || $1::text, 0));

-- name: is_busy
-- Whether a path is in a directory that is being moved or removed. $1 application  $2 path
select exists (
    select from losant_jobs where application = $1
       and (starts_with($2, from_path) or starts_with($2, to_path)));

-- name: has_work_below
-- Whether a directory in this one is being moved or removed. $1 application  $2 path
select exists (
    select from losant_jobs where application = $1
       and (starts_with(from_path, $2) or starts_with(to_path, $2)));

-- name: move_files
-- The rows are locked already. $1 ids  $2 their new names  $3 attributes to merge  $4 actor
with moving as (
    select f.id, f.kind, f.owner, f.name, f.blob_id, m.name as new_name
    from unnest($1::uuid[], $2::text[]) as m (id, name) join files f on f.id = m.id
), noted as (
    insert into audit (event, kind, owner, name, blob_id, actor)
    select 'moved', kind, owner, name, blob_id, $4 from moving
), moved as (
    update files f set
        name = m.new_name, attributes = f.attributes || $3, updated_at = clock_timestamp()
    from moving m where f.id = m.id
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text) from moving;

-- name: add_job
-- $1 application  $2 kind  $3 from path  $4 to path or null  $5 from id  $6 to id or null  $7 actor
insert into losant_jobs (application, kind, from_path, to_path, from_id, to_id, actor)
values ($1, $2, $3, $4, $5, $6, $7) returning id;

-- name: add_steps
-- $1 job  $2 from paths  $3 to paths
insert into losant_steps (job, from_path, to_path) select $1, * from unnest($2::text[], $3::text[]);

-- name: take_job
-- $1 for how many seconds nobody else takes it
update losant_jobs set due_at = now() + make_interval(secs => $1)
where id = (
    select id from losant_jobs where due_at <= now() order by due_at, id
    limit 1 for update skip locked)
returning *;

-- name: keep_job
-- No row: it is done, or gone with its application. $1 id  $2 for how many seconds
update losant_jobs set due_at = now() + make_interval(secs => $2) where id = $1 returning id;

-- name: finish_job
-- $1 id
delete from losant_jobs where id = $1;

-- name: release_job
-- $1 id
update losant_jobs set due_at = now() where id = $1;

-- name: next_step
-- $1 job
select id, from_path, to_path from losant_steps where job = $1 order by id limit 1;

-- name: finish_step
-- $1 id
delete from losant_steps where id = $1;

-- name: children
-- $1 application  $2 path  $3 limit
select id from losant_files where application = $1 and directory = losant_digest($2) limit $3;

-- name: still_in
-- Of these, those that are still there; their rows are locked. $1 ids  $2 path
select f.id, f.name, f.attributes ->> 'name' as own_name, f.attributes ->> 'type' as type
  from files f where f.id = any ($1::uuid[]) and f.attributes ->> 'parent' = $2;

-- name: a_directory_in
-- $1 application  $2 path
select name from losant_files
 where application = $1 and directory = losant_digest($2) and type = 'directory' limit 1;

-- name: id_at
-- $1 application  $2 path
select id from losant_files where application = $1 and place = losant_digest($2);

-- name: expired
-- $1 limit
select id from losant_files where expires_at <= now() order by expires_at limit $1;

-- name: still_expired
-- The rows are locked. $1 ids
select id, kind, owner, name, blob_id from files
 where id = any ($1::uuid[]) and (attributes ->> 'expires')::float8 <= extract(epoch from now());

-- name: give_up_uploads
-- They keep the bytes that they have. $1 ids
with given_up as (
    update files set
        attributes = attributes || '{"status": "completed", "upload": null, "expires": null}',
        updated_at = clock_timestamp()
    where id = any ($1::uuid[]) returning kind, owner, name
)
select pg_notify('gateway_changes', jsonb_build_array(kind, owner, name)::text) from given_up;
