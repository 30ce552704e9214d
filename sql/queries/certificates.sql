-- Certificates that things are known by.

-- name: add_certificate
-- $1 id  $2 thing_id  $3 sha256 or null  $4 subject or null  $5 alone  $6 confirmed
insert into thing_certificates (id, thing_id, sha256, subject, alone, confirmed)
values ($1, $2, $3, $4, $5, $6);

-- name: list_certificates
-- $1 thing_id
select id, thing_id, sha256, subject, alone, confirmed from thing_certificates
 where thing_id = $1 order by created_at, id;

-- name: count_certificates
-- $1 thing_id
select count(*) from thing_certificates where thing_id = $1;

-- name: remove_certificate
-- $1 thing_id  $2 id
delete from thing_certificates where thing_id = $1 and id = $2;

-- name: bound_certificate
-- Whether the thing is known by this certificate, and whether that waits for just this.
-- $1 thing_id  $2 sha256  $3 subject
select true as bound, bool_or(not confirmed) as waits from thing_certificates
 where thing_id = $1 and (sha256 = $2 or subject = $3) having count(*) > 0;

-- name: confirm_certificate
-- The thing has shown its key and this certificate together. $1 thing_id  $2 sha256
update thing_certificates set confirmed = true
 where thing_id = $1 and sha256 = $2 and not confirmed
   and not exists (select from thing_certificates
                    where sha256 = $2 and alone and confirmed);

-- name: thing_by_certificate
-- The one that it is enough for alone; a certificate comes before a subject. $1 sha256  $2 subject
select t.id, t.owner_id, t.name, t.key_sealed, t.metadata
  from thing_certificates c
  join things t on t.id = c.thing_id
  join users u on u.id = t.owner_id
 where (c.sha256 = $1 or c.subject = $2) and c.alone and c.confirmed and not u.things_locked
 order by c.sha256 is null limit 1;
