-- Messages of channels, their partitions, and what is left of channels that are gone.

-- name: add_messages
-- One statement: the messages, their tally, what the sender's webhooks are to be told, and what it
-- takes of the sender's quota. told: whether there is anybody to be told.
-- $1 channel_id  $2 publisher  $3 protocol  $4 subtopic  $5 names  $6 units  $7 times
-- $8 update_times  $9 values  $10 string_values  $11 bool_values  $12 data_values  $13 sums
-- $14 the message as it was sent  $15 when, in seconds since 1970
with known as (
    select id from streams where channel_id = $1
), made as (
    insert into streams (channel_id) select $1 where not exists (select from known)
    on conflict (channel_id) do update set channel_id = excluded.channel_id
    returning id
), stream as (
    select id from known union all select id from made
), counted as (
    insert into message_tallies as t (stream, week, slice, messages)
    select id, week_of(now()), pg_backend_pid() % 16, cardinality($5::text[]) from stream
    on conflict (stream, week, slice) do update set messages = t.messages + excluded.messages
), listening as (
    select id from webhooks where thing_id = $2 and messages and disabled is null
), sent as (
    insert into sent_messages (channel_id, publisher, protocol, subtopic, received_at, body)
    select $1, $2, $3, $4, $15, $14::bytea where exists (select from listening)
    returning id
), told as (
    insert into deliveries (webhook_id, event, body, message_id)
    select listening.id, 'messages', '', sent.id from listening, sent
    returning 1
), spent as (
    select spend_messages($2, count(*), sum(size)) as records
    from (select octet_length(name) + coalesce(octet_length(text), 0) + coalesce(octet_length(data), 0)
                 as size
          from unnest($5::text[], $10::text[], $12::text[]) as r (name, text, data)) kept
)
insert into messages (
    stream, received_at, publisher, protocol, subtopic, name, unit, time, update_time, value,
    string_value, bool_value, data_value, sum)
select stream.id, now(), $2, $3, $4, r.*
  from spent, stream, unnest(
    $5::text[], $6::text[], $7::float8[], $8::float8[], $9::float8[], $10::text[],
    $11::boolean[], $12::text[], $13::float8[]) as r
returning exists (select from told) as told;

-- name: make_message_partitions
-- $1 weeks ahead
select make_message_partitions($1);

-- name: drop_message_partitions
-- $1 days
select drop_message_partitions($1);

-- name: ended_streams
-- $1 limit
select id from ended_streams order by id limit $1;

-- name: remove_messages
-- Some of a stream's messages; how many is the number of rows.
-- $1 stream  $2 limit
with eldest as (
    select stream, time, id from messages where stream = $1 order by time, id limit $2
)
delete from messages m using eldest
 where m.stream = $1 and m.time = eldest.time and m.id = eldest.id;

-- name: forget_stream
-- Only once it has no messages. $1 stream
with counted as (
    delete from message_tallies where stream = $1
)
delete from ended_streams where id = $1;

-- name: count_messages
-- All of a channel's messages, by their tally. $1 channel_id
select coalesce(sum(t.messages), 0)::bigint
  from streams s join message_tallies t on t.stream = s.id
 where s.channel_id = $1;

-- name: count_matching_messages
-- At most so many, so that a page costs no more than its filters do.
-- $1 channel_id  $2 name  $3 publisher  $4 subtopic  $5 protocol  $6 from  $7 to
-- $8 least value  $9 most value  $10 whether those two are left out  $11 bool_value
-- $12 string_value  $13 data_value; of these a null does not filter  $14 limit
select count(*)
  from matching_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0);

-- name: list_messages
-- The latest first. $1 to $14 as above  $15 offset
select publisher, protocol, subtopic, name, unit, time, update_time, value, string_value,
       bool_value, data_value, sum
  from matching_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);
