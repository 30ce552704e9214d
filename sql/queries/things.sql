-- Things. A listing is one statement per order, so that each is read off an index.

-- name: add_things
-- Things of one batch are made a microsecond apart, so that listings keep the batch's order.
-- One statement: the tally is locked last, after every wait for an id that another batch has.
-- $1 ids  $2 owner_id  $3 names  $4 key_digests  $5 keys_sealed  $6 metadata
-- $7 places in the batch
insert into things (id, owner_id, name, key_digest, key_sealed, metadata, created_at)
select t.id, $2, t.name, t.digest, t.sealed, t.metadata, now() + t.place * interval '1 microsecond'
  from unnest($1::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::jsonb[], $7::int[])
       as t (id, name, digest, sealed, metadata, place);

-- name: thing_by_key_digest
-- Nothing while its owner is locked together with their things.
-- Whether the key is nothing without a certificate is said beside it.
-- $1 digests of one key, under each secret that there may be
select t.id, t.owner_id, t.name, t.key_sealed, t.metadata,
       exists (select from thing_certificates c where c.thing_id = t.id and not c.alone) as certified
  from things t join users u on u.id = t.owner_id
 where t.key_digest = any ($1::bytea[]) and not u.things_locked
 limit 1;

-- name: sealed_otherwise
-- Things whose keys are not sealed under the present secret. $1 its mark  $2 after this id  $3 limit
select id, key_digest, key_sealed from things
 where id > $2 and substr(key_sealed, 1, length($1::bytea)) <> $1::bytea
 order by id limit $3;

-- name: reseal_thing
-- Unless it has got another key meanwhile.
-- $1 id  $2 its digest so far  $3 key_digest  $4 key_sealed
update things set key_digest = $3, key_sealed = $4 where id = $1 and key_digest = $2;

-- name: thing_by_id
-- $1 id  $2 user_id, or null for anybody  $3 what the user must be allowed
select id, owner_id, name, key_sealed, metadata
  from things where id = $1 and may_thing($2, things, $3);

-- name: amend_thing
-- A null leaves the column as it is.
-- $1 id  $2 user_id, or null for anybody  $3 name  $4 metadata  $5 key_digest  $6 key_sealed
update things
   set name = coalesce($3, name),
       metadata = coalesce($4, metadata),
       key_digest = coalesce($5, key_digest),
       key_sealed = coalesce($6, key_sealed),
       updated_at = now()
 where id = $1 and may_thing($2, things, 'write');

-- name: remove_thing
-- $1 id  $2 user_id, or null for anybody
delete from things where id = $1 and may_thing($2, things, 'delete');

-- name: owned_things
-- Which of these things the owner has, held until the transaction ends.
-- $1 ids  $2 owner_id, or null for any
select id from things
 where id = any ($1::uuid[]) and ($2::uuid is null or owner_id = $2)
 order by id
   for key share;

-- name: things_to_change
-- Which of these things the user may change, held until the transaction ends.
-- $1 ids  $2 user_id, or null for anybody
select id from things
 where id = any ($1::uuid[]) and may_thing($2, things, 'write')
 order by id
   for key share;

-- name: count_things
-- Without a filter the tally, and what others share, is the answer; with one, what passes is
-- counted.
-- $1 viewer's id, or null for all  $2 part of the name  $3 metadata to contain
select case when $2 = '' and $3::jsonb = '{}'
            then tally_of('things', $1) + (select count(*) from shared_things($1))
       else (select count(*)
               from visible_things($1)
              where ($2 = '' or is_part($2, name))
                and ($3::jsonb = '{}' or metadata @> $3))
       end;

-- name: list_things
-- $1 viewer's id, or null for all  $2 part of the name
-- $3 metadata to contain
-- $4 limit  $5 offset. What is one's own and what others
-- share are each cut short before they are merged: a plan for both at once would sort all.
select id, owner_id, name, key_sealed, metadata
  from ((select * from things
          where ($1::uuid is null or owner_id = $1) and ($2 = '' or is_part($2, name))
            and ($3::jsonb = '{}' or metadata @> $3)
          order by {order} limit $4::bigint + $5::bigint)
        union all
        (select * from shared_things($1)
          where ($2 = '' or is_part($2, name))
            and ($3::jsonb = '{}' or metadata @> $3)
          order by {order} limit $4::bigint + $5::bigint)) seen
 order by {order}
 limit $4 offset $5;

-- order: list_things created = created_at
-- order: list_things name = name
-- order: list_things id = id
