-- order: list_files mark = (attributes ->> 'mark')::bigint

-- name: make_scope
-- $1 kind  $2 owner
insert into scopes (kind, owner) values ($1, $2) on conflict do nothing;

-- name: marked_below
-- $1 kind  $2 owner  $3 mark
select * from file_rows
where kind = $1 and owner = $2 and (attributes ->> 'mark')::bigint < $3
order by (attributes ->> 'mark')::bigint, id
limit 100;

-- name: open_shelf
insert into shelf_openings default values returning id;

-- name: close_shelf
update shelf_openings set closed_at = now() where id = $1;
