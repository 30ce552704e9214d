-- Scopes: the things, groups ... that own files. Each of these runs in the transaction
-- that makes or removes the owner itself.

-- name: add_scope
-- $1 kind  $2 owner
insert into scopes (kind, owner) values ($1, $2);

-- name: close_scope
-- Waits for changes to the scope's files that are committing; later ones wait for us.
-- $1 kind  $2 owner
select pg_advisory_xact_lock(hashtextextended($1::text || '/' || $2::text, 0));

-- name: hold_scope
-- Waits for rows that refer to the scope and are committing, whatever locks their writer took.
-- $1 kind  $2 owner
select kind from scopes where kind = $1 and owner = $2 for update;

-- name: add_scopes
-- $1 kind  $2 owners
insert into scopes (kind, owner) select $1, unnest($2::text[]);

-- name: note_scopes
-- $1 event  $2 kind  $3 owners  $4 actor  $5 address or null
insert into audit (event, kind, owner, name, actor, address)
select $1, $2, unnest($3::text[]), '', $4, $5;

-- name: remove_scope
-- Takes the scope's file rows along.
-- $1 kind  $2 owner
delete from scopes where kind = $1 and owner = $2;

-- name: condemn_scope
-- The blobs of the scope's files, wherever they lie; those that lie in its folder and are of
-- files that moved away live on. Only after close_scope and hold_scope: what committed while that waited must
-- be condemned as well; and before remove_scope, which takes the rows.
-- $1 kind  $2 owner  $3 grace in seconds
with condemned as (
    update blobs
       set condemned_until = now() + make_interval(secs => $3),
           charged_kind = $1, charged_owner = $2
      from files
     where files.kind = $1 and files.owner = $2 and blobs.id = files.blob_id
       and blobs.condemned_until is null
    returning size
)
insert into usage (kind, owner, slice, files, bytes, condemned)
select $1, $2, 0, 0, -sum(size), sum(size) from condemned having count(*) > 0
on conflict (kind, owner, slice) do update
   set bytes = usage.bytes + excluded.bytes, condemned = usage.condemned + excluded.condemned;

-- name: note_scope
-- $1 event  $2 kind  $3 owner  $4 actor  $5 address or null
insert into audit (event, kind, owner, name, actor, address) values ($1, $2, $3, '', $4, $5);

-- name: hold_rights
-- The rights of these stay as they are until the transaction ends: whoever changes them waits
-- (alter_rights). Before any scope and any row is locked. $1 ids of users, things, groups ...
select pg_advisory_xact_lock_shared(hashtextextended('rights/' || id, 0))
from (select '' as id union select unnest($1::text[]) order by 1) held;
