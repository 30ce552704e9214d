-- Users, and the one fact about the deployment that is kept beside them.

-- name: add_user
-- $1 id  $2 email  $3 password_hash  $4 metadata  $5 whether the e-mail is known to be theirs
-- $6 whether nobody asked for the account
insert into users (id, email, password_hash, metadata, verified, newcomer)
values ($1, $2, $3, $4, $5, $6)
returning id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from;

-- name: user_by_id
-- $1 id
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where id = $1;

-- name: user_by_email
-- $1 the forms in which it may be kept, the likeliest first
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where email = any ($1::text[])
 order by array_position($1::text[], email) limit 1;

-- name: user_of_token
-- Nobody, if that login was ended. $1 id  $2 the token's own id
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where id = $1 and not exists (select from ended_tokens where ended_tokens.id = $2);

-- name: user_by_number
-- $1 number
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where number = $1;

-- name: end_token
-- Those whose own time is over are forgotten on the way. $1 the token's id  $2 when it expires
-- $3 whose it is
with forgotten as (
    delete from ended_tokens where expires_at < now() - interval '1 hour'
), altered as (
    select alter_rights(array[$3::uuid::text])
)
insert into ended_tokens (id, expires_at, user_id)
select $1, $2, $3 from altered on conflict do nothing;

-- name: end_tokens
-- All logins of a user so far. $1 id
update users
   set tokens_valid_from = greatest(clock_timestamp(), tokens_valid_from + interval '1 microsecond'),
       updated_at = now()
 where id = $1;

-- name: end_keys
-- Those that are kept elsewhere. $1 id
update users set keys_valid_from = clock_timestamp(), updated_at = now() where id = $1;

-- name: lock_user
-- The rights of its things change with it. $1 id  $2 whether  $3 whether the account's things are, too
with altered as materialized (
    select alter_rights(array(select t.id::text from things t join users u on u.id = t.owner_id
                               where u.id = $1 and u.things_locked <> ($2 and $3)))
)
update users set locked = $2, things_locked = $2 and $3, updated_at = now()
  from altered where id = $1;

-- name: verify_user
-- $1 id
update users set verified = true, updated_at = now() where id = $1 and not verified;

-- name: unverified_users
-- Of these, those whose e-mail is not known to be theirs. $1 ids
select id from users where id = any ($1::uuid[]) and not verified;

-- name: rehash_password
-- The same password at another cost: no token ends. $1 id  $2 password_hash  $3 what it was
update users set password_hash = $2 where id = $1 and password_hash = $3;

-- name: add_reset
-- A later one takes the place of an earlier. $1 user_id  $2 digest  $3 expires_at
insert into password_resets (user_id, digest, expires_at) values ($1, $2, $3)
on conflict (user_id) do update set digest = excluded.digest, expires_at = excluded.expires_at;

-- name: reset_of_digest
-- $1 digest
select u.id, u.number, u.email, u.metadata, u.admin, u.member, u.registrar, u.locked,
       u.password_hash, u.tokens_valid_from
  from password_resets r join users u on u.id = r.user_id
 where r.digest = $1 and r.expires_at > now();

-- name: use_reset
-- $1 digest
delete from password_resets where digest = $1 and expires_at > now();

-- name: drop_resets
-- Of a user. $1 user_id
delete from password_resets where user_id = $1;

-- name: drop_old_resets
delete from password_resets where expires_at < now();

-- name: users_by_email
-- $1 emails, in lower case
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where email = any ($1::text[]);

-- name: users_by_id
-- $1 ids
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where id = any ($1::uuid[]);

-- name: list_users
-- $1 only this id, or null  $2 part of the email  $3 metadata to contain  $4 limit  $5 offset
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users
 where ($1::uuid is null or id = $1) and strpos(email, $2) > 0 and metadata @> $3
 order by created_at, id
 limit $4 offset $5;

-- name: count_users
-- $1 only this id, or null  $2 part of the email  $3 metadata to contain
select count(*)
  from users
 where ($1::uuid is null or id = $1) and strpos(email, $2) > 0 and metadata @> $3;

-- name: amend_user
-- $1 id  $2 metadata
update users set metadata = $2, updated_at = now() where id = $1;

-- name: change_password
-- Only if the password is still the one that was checked. clock_timestamp: two changes in
-- one transaction's time must not share a value, or the first one's tokens would live on.
-- $1 id  $2 password_hash  $3 the password_hash that was checked
update users
   set password_hash = $2,
       tokens_valid_from = greatest(clock_timestamp(), tokens_valid_from + interval '1 microsecond'),
       updated_at = now()
 where id = $1 and password_hash = $3;

-- name: reset_password
-- $1 id  $2 password_hash
update users
   set password_hash = $2,
       tokens_valid_from = greatest(clock_timestamp(), tokens_valid_from + interval '1 microsecond'),
       updated_at = now()
 where id = $1;

-- name: list_admins
select id, number, email, metadata, admin, member, registrar, locked, password_hash, tokens_valid_from
  from users where admin order by email;

-- name: any_admin
select exists (select 1 from users where admin);

-- name: wait_for_first_admin
-- Lets one gateway at a time look for an admin and make one, until its transaction ends.
select pg_advisory_xact_lock(7021786321);

-- name: make_admin
-- An account that has this e-mail already is taken over: its tokens and keys end.
-- $1 id  $2 email  $3 password_hash
with over as (
    delete from api_keys k using users u where u.email = $2 and k.user_id = u.id
)
insert into users (id, email, password_hash, admin, verified) values ($1, $2, $3, true, true)
on conflict (email) do update
   set admin = true, password_hash = excluded.password_hash, verified = true,
       tokens_valid_from = greatest(clock_timestamp(),
                                    users.tokens_valid_from + interval '1 microsecond'),
       keys_valid_from = clock_timestamp(), updated_at = now();

-- name: adopt_fingerprint
-- $1 fingerprint of the deployment's secret
insert into deployment (fingerprint) values ($1) on conflict do nothing;

-- name: secrets_in_use
-- The fingerprints of all secrets under which something may be kept.
select fingerprint from deployment union select fingerprint from deployment_secrets;

-- name: note_secret
-- From now on things may be kept under this one, too. $1 its fingerprint
insert into deployment_secrets (fingerprint) values ($1) on conflict do nothing;

-- name: settle_secret
-- Nothing is kept under any other one any more. $1 its fingerprint
with settled as (
    update deployment set fingerprint = $1
)
delete from deployment_secrets where fingerprint <> $1;

-- name: keys_before_secret
-- API keys in force that were issued before this secret was in use: another one signed them.
-- $1 its fingerprint
select count(*) from api_keys
where (expires_at is null or expires_at > now())
  and issued_at < (select since from deployment_secrets where fingerprint = $1);
