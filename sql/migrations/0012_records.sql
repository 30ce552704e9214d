-- A file may have no bytes yet (a pending upload, a directory), and it may change hands: then its
-- name lives in one scope and its bytes lie in the folder of another. What is known of a blob's
-- place comes from the blob.

alter table files alter column blob_id drop not null;

create or replace view file_rows as
select f.id, f.kind, f.owner, f.name, f.blob_id, f.content_type, f.attributes, f.creator,
       f.created_at, f.modified_at, f.updated_at, b.size, b.sha256, b.md5,
       b.kind as blob_kind, b.owner as blob_owner
from files f left join blobs b on b.id = f.blob_id;

-- A file that comes to a name that another one left must have a later date, as a new one must.
create trigger file_moved_later after update of kind, owner, name on files
    for each row execute function postpone_file();
