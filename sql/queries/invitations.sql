-- Invitations to accounts, and roles that wait until whoever has the address takes them.

-- name: add_invitation
-- To an account; a later one takes the place of an earlier.
-- $1 id  $2 email  $3 digest  $4 inviter_id or null  $5 expires_at
insert into invitations (id, email, digest, inviter_id, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (email) where group_id is null and org_id is null do update
   set id = excluded.id, digest = excluded.digest, inviter_id = excluded.inviter_id,
       created_at = excluded.created_at, expires_at = excluded.expires_at
returning *, (select email from users where users.id = $4) as inviter;

-- name: add_offer
-- To a group; a later one takes the place of an earlier. Likewise to an org.
-- $1 id  $2 email  $3 digest  $4 inviter_id  $5 expires_at  $6 group_id or null  $7 org_id or null
-- $8 user_id  $9 role
with earlier as (
    delete from invitations where user_id = $8 and (group_id = $6 or org_id = $7)
    returning id
)
insert into invitations (id, email, digest, inviter_id, expires_at, group_id, org_id, user_id, role)
select $1, $2, $3, $4, $5, $6, $7, $8, $9 where (select count(*) from earlier) >= 0
returning *, (select email from users where users.id = $4) as inviter;

-- name: invitation_of_digest
-- While it holds: whoever made it could still. $1 digest
select i.*, u.email as inviter
  from invitations i left join users u on u.id = i.inviter_id
 where i.digest = $1 and i.expires_at > now()
   and case
       when i.inviter_id is null then true
       when u.locked then false
       when u.admin then true
       when i.role is null then u.registrar
       else i.role <= (select max(r.role)
                         from (select role from group_roles
                                where group_id = i.group_id and user_id = i.inviter_id
                               union all
                               select role from org_users
                                where org_id = i.org_id and user_id = i.inviter_id) r
                        where r.role >= 3)
       end
   for update of i;

-- name: offers_to_user
-- As invitation_of_digest. $1 user_id
select i.*, u.email as inviter
  from invitations i join users u on u.id = i.inviter_id
 where i.user_id = $1 and i.expires_at > now() and not u.locked
   and (u.admin or i.role <= (select max(r.role)
                         from (select role from group_roles
                                where group_id = i.group_id and user_id = i.inviter_id
                               union all
                               select role from org_users
                                where org_id = i.org_id and user_id = i.inviter_id) r
                        where r.role >= 3))
 order by i.id
   for update of i;

-- name: invitation_by_id
-- $1 id
select i.*, u.email as inviter
  from invitations i left join users u on u.id = i.inviter_id where i.id = $1;

-- name: remove_invitation
-- $1 id
delete from invitations where id = $1;

-- name: drop_invitations_of
-- Those that a user made. $1 inviter_id
delete from invitations where inviter_id = $1;

-- name: drop_offers
-- $1 group_id or null  $2 org_id or null  $3 user_ids
delete from invitations
 where user_id = any ($3::uuid[]) and (group_id = $1 or org_id = $2);

-- name: drop_old_invitations
delete from invitations where expires_at < now() - interval '30 days';

-- name: list_invitations
-- Those that a user made or that are to them; all for null. $1 user_id or null  $2 limit  $3 offset
select i.*, u.email as inviter
  from invitations i left join users u on u.id = i.inviter_id
 where $1::uuid is null or i.inviter_id = $1 or i.user_id = $1
    or i.email = (select email from users where users.id = $1)
 order by i.created_at, i.id
 limit $2 offset $3;

-- name: count_invitations
-- $1 user_id or null
select count(*) from invitations i
 where $1::uuid is null or i.inviter_id = $1 or i.user_id = $1
    or i.email = (select email from users where users.id = $1);
