-- Applications, their tokens, and log-ins with fewer rights.

-- name: add_application
-- $1 id  $2 user id or null  $3 org id or null  $4 name  $5 description
insert into losant_applications (id, user_id, org_id, name, description)
values ($1, $2, $3, $4, $5) returning *;

-- name: find_application
-- With the caller's role in it. $1 id  $2 user id or null  $3 whether the caller owns it anyway
select a.*, case when $3 or a.user_id = $2 then 4 else m.role end as role
  from losant_applications a
  left join org_users m on m.org_id = a.org_id and m.user_id = $2
 where a.id = $1;

-- name: take_rights
-- Of the application's tokens, before its scope is closed: as whoever commits under them. $1 id
select alter_rights(array(select id from losant_tokens where application = $1));

-- name: remove_application
-- $1 id
delete from losant_applications where id = $1;

-- name: list_applications
-- $1 user id  $2 whether all are listed  $3 org id or null  $4 of the user alone
-- $5 pattern of the name or null  $6 limit  $7 offset
select a.* from losant_applications a
 where ($2 or a.user_id = $1 or exists (
           select from org_users m where m.org_id = a.org_id and m.user_id = $1))
   and ($3::uuid is null or a.org_id = $3) and (not $4 or a.user_id = $1)
   and ($5::text is null or a.name like $5)
 order by {order} limit $6 offset $7;

-- name: count_applications
-- As above.
select count(*) from losant_applications a
 where ($2 or a.user_id = $1 or exists (
           select from org_users m where m.org_id = a.org_id and m.user_id = $1))
   and ($3::uuid is null or a.org_id = $3) and (not $4 or a.user_id = $1)
   and ($5::text is null or a.name like $5);

-- order: list_applications name = name
-- order: list_applications id = id
-- order: list_applications creationdate = created_at
-- order: list_applications lastupdated = updated_at
-- order: list_applications ownerid = user_id

-- name: org_between
-- $1 the least and $2 the greatest UUID that it may have
select id from orgs where id between $1 and $2;

-- name: add_token
-- $1 id  $2 application  $3 digest  $4 name  $5 description  $6 scopes  $7 active
-- $8 creator's id  $9 its type  $10 when it is over, or null
insert into losant_tokens (
    id, application, digest, name, description, scopes, active, creator_id, creator_type, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning *;

-- name: find_token
-- $1 application  $2 id
select * from losant_tokens where application = $1 and id = $2;

-- name: token_of_digest
-- None of an application whose user is locked, or has ended their keys since. $1 digest
select t.*, a.user_id from losant_tokens t
  join losant_applications a on a.id = t.application
  left join users u on u.id = a.user_id
 where t.digest = $1 and t.active and (t.expires_at is null or t.expires_at > now())
   and (u.id is null or not u.locked and t.created_at >= u.keys_valid_from);

-- name: amend_token
-- A null leaves the column as it is. $1 application  $2 id  $3 name  $4 description  $5 active
update losant_tokens
   set name = coalesce($3, name), description = coalesce($4, description),
       active = coalesce($5, active), updated_at = clock_timestamp()
 where application = $1 and id = $2 returning *;

-- name: remove_token
-- $1 application  $2 id
delete from losant_tokens where application = $1 and id = $2;

-- name: list_tokens
-- $1 application  $2 pattern of the name or null  $3 active or null  $4 limit  $5 offset
select * from losant_tokens
 where application = $1 and ($2::text is null or name like $2) and ($3::boolean is null or active = $3)
 order by {order} limit $4 offset $5;

-- name: count_tokens
-- As above.
select count(*) from losant_tokens
 where application = $1 and ($2::text is null or name like $2) and ($3::boolean is null or active = $3);

-- order: list_tokens name = name
-- order: list_tokens id = id
-- order: list_tokens status = active
-- order: list_tokens creationdate = created_at
-- order: list_tokens lastupdated = updated_at
-- order: list_tokens expirationdate = expires_at

-- name: add_login
-- $1 digest  $2 user id  $3 scopes  $4 the user's tokens_valid_from  $5 when it is over
insert into losant_logins (digest, user_id, scopes, valid_from, expires_at)
values ($1, $2, $3, $4, $5);

-- name: login_of_digest
-- $1 digest
select l.scopes, l.expires_at, u.*
  from losant_logins l join users u on u.id = l.user_id and u.tokens_valid_from = l.valid_from
 where l.digest = $1 and l.expires_at > now() and not u.locked;

-- name: drop_old_logins
delete from losant_logins where expires_at < now();
