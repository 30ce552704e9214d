-- Channels and the things connected to them. A listing is one statement per order, so that
-- each is read off an index.

-- name: add_channels
-- Channels of one batch are made a microsecond apart, so that listings keep the batch's order.
-- $1 ids  $2 owner_id  $3 names  $4 metadata  $5 places in the batch
insert into channels (id, owner_id, name, metadata, created_at)
select c.id, $2, c.name, c.metadata, now() + c.place * interval '1 microsecond'
  from unnest($1::uuid[], $3::text[], $4::jsonb[], $5::int[]) as c (id, name, metadata, place);

-- name: channel_by_id
-- $1 id  $2 user_id, or null for anybody  $3 what the user must be allowed
select id, owner_id, name, metadata
  from channels where id = $1 and may_channel($2, channels, $3);

-- name: amend_channel
-- A null leaves the column as it is.
-- $1 id  $2 user_id, or null for anybody  $3 name  $4 metadata
update channels
   set name = coalesce($3, name),
       metadata = coalesce($4, metadata),
       updated_at = now()
 where id = $1 and may_channel($2, channels, 'write');

-- name: remove_channel
-- $1 id  $2 user_id, or null for anybody
delete from channels where id = $1 and may_channel($2, channels, 'delete');

-- name: channels_to_change
-- Which of these channels the user may change, held until the transaction ends.
-- $1 ids  $2 user_id, or null for anybody
select id from channels
 where id = any ($1::uuid[]) and may_channel($2, channels, 'write')
 order by id
   for key share;

-- name: connect_things
-- Every thing to every channel; a connection that exists keeps its time.
-- $1 channel_ids  $2 thing_ids
insert into connections (channel_id, thing_id, connected_at)
select c, t, clock_timestamp()
  from unnest($1::uuid[]) c cross join unnest($2::uuid[]) t
 order by c, t
on conflict do nothing;

-- name: disconnect_things
-- $1 channel_ids  $2 thing_ids
delete from connections where channel_id = any ($1::uuid[]) and thing_id = any ($2::uuid[]);

-- name: connected
-- $1 channel_id  $2 thing_id
select exists (select 1 from connections where channel_id = $1 and thing_id = $2);

-- name: list_channels_of_thing
-- $1 thing_id  $2 user_id who may see the channels, or null for anybody  $3 limit  $4 offset
select c.id, c.owner_id, c.name, c.metadata
  from connections n join channels c on c.id = n.channel_id
 where n.thing_id = $1 and may_channel($2, c, 'read')
 order by n.connected_at, n.channel_id
 limit $3 offset $4;

-- name: count_channels_of_thing
-- $1 thing_id  $2 user_id who may see the channels, or null for anybody
select count(*)
  from connections n join channels c on c.id = n.channel_id
 where n.thing_id = $1 and may_channel($2, c, 'read');

-- name: list_things_of_channel
-- $1 channel_id  $2 user_id who may see the things, or null for anybody  $3 limit  $4 offset
select t.id, t.owner_id, t.name, t.key_sealed, t.metadata
  from connections n join things t on t.id = n.thing_id
 where n.channel_id = $1 and may_thing($2, t, 'read')
 order by n.connected_at, n.thing_id
 limit $3 offset $4;

-- name: count_things_of_channel
-- $1 channel_id  $2 user_id who may see the things, or null for anybody
select count(*)
  from connections n join things t on t.id = n.thing_id
 where n.channel_id = $1 and may_thing($2, t, 'read');

-- name: list_channels_not_of_thing
-- $1 thing_id  $2 user_id who may see the channels, or null for anybody  $3 limit  $4 offset
select c.id, c.owner_id, c.name, c.metadata
  from visible_channels($2) c
 where not exists (select 1 from connections n where n.channel_id = c.id and n.thing_id = $1)
 order by c.created_at, c.id
 limit $3 offset $4;

-- name: count_channels_not_of_thing
-- $1 thing_id  $2 user_id who may see the channels, or null for anybody
select count(*)
  from visible_channels($2) c
 where not exists (select 1 from connections n where n.channel_id = c.id and n.thing_id = $1);

-- name: list_things_not_of_channel
-- $1 channel_id  $2 user_id who may see the things, or null for anybody  $3 limit  $4 offset
select t.id, t.owner_id, t.name, t.key_sealed, t.metadata
  from visible_things($2) t
 where not exists (select 1 from connections n where n.thing_id = t.id and n.channel_id = $1)
 order by t.created_at, t.id
 limit $3 offset $4;

-- name: count_things_not_of_channel
-- $1 channel_id  $2 user_id who may see the things, or null for anybody
select count(*)
  from visible_things($2) t
 where not exists (select 1 from connections n where n.thing_id = t.id and n.channel_id = $1);

-- name: count_channels
-- Without a filter the tally, and what others share, is the answer; with one, what passes is
-- counted.
-- $1 viewer's id, or null for all  $2 part of the name  $3 metadata to contain
select case when $2 = '' and $3::jsonb = '{}'
            then tally_of('channels', $1) + (select count(*) from shared_channels($1))
       else (select count(*)
               from visible_channels($1) c
              where ($2 = '' or is_part($2, c.name))
                and ($3::jsonb = '{}' or c.metadata @> $3))
       end;

-- name: list_channels
-- $1 viewer's id, or null for all  $2 part of the name  $3 metadata to contain
-- $4 limit  $5 offset. What is one's own and what others
-- share are each cut short before they are merged: a plan for both at once would sort all.
select id, owner_id, name, metadata
  from ((select * from channels
          where ($1::uuid is null or owner_id = $1) and ($2 = '' or is_part($2, name))
            and ($3::jsonb = '{}' or metadata @> $3)
          order by {order} limit $4::bigint + $5::bigint)
        union all
        (select * from shared_channels($1)
          where ($2 = '' or is_part($2, name))
            and ($3::jsonb = '{}' or metadata @> $3)
          order by {order} limit $4::bigint + $5::bigint)) seen
 order by {order}
 limit $4 offset $5;

-- order: list_channels created = created_at
-- order: list_channels name = name
-- order: list_channels id = id
