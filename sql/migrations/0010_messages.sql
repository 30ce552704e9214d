-- Messages of channels: one table in partitions by the week in which they came, so that
-- what is too old goes as a whole and nothing has to be deleted row by row.

-- The number under which a channel's messages are kept. A channel that is made again under
-- the same id gets another one, and so never sees what was sent to its predecessor.
create table streams (
    id         bigint generated always as identity primary key,
    channel_id uuid not null unique references channels (id) on delete cascade
);

-- Streams whose channel is gone; the sweeper takes their messages away, bit by bit.
create table ended_streams (
    id bigint primary key
);

create function end_stream() returns trigger language plpgsql as $$
begin
    insert into ended_streams (id) values (old.id) on conflict do nothing;
    return null;
end $$;

create trigger stream_ended after delete on streams
    for each row execute function end_stream();

create sequence message_ids;

-- time is what the sender says, received_at what we saw; update_time, time: seconds.
create table messages (
    stream       bigint not null,
    id           bigint not null default nextval('message_ids'),
    received_at  timestamptz not null,
    publisher    uuid not null,
    protocol     text not null,
    subtopic     text collate "C" not null,
    name         text collate "C" not null,
    unit         text not null,
    time         float8 not null,
    update_time  float8,
    value        float8,
    string_value text,
    bool_value   boolean,
    data_value   text,
    sum          float8
) partition by range (received_at);
create index messages_by_time on messages (stream, time, id);
create index messages_by_name on messages (stream, name, time, id);
create index messages_by_publisher on messages (stream, publisher, time, id);

-- How many messages a stream has of a week, in sixteen slices so that two senders do not wait
-- for each other's commit.
create table message_tallies (
    stream   bigint not null,
    week     date not null,
    slice    smallint not null,
    messages bigint not null,
    primary key (stream, week, slice)
);
create index message_tallies_of_week on message_tallies (week);

create function week_of(moment timestamptz) returns date language sql immutable as $$
    select date_trunc('week', moment at time zone 'UTC')::date
$$;

create function message_partition(week date) returns text language sql stable as $$
    select 'messages_' || to_char(week, 'YYYYMMDD')
$$;

-- Makes the partitions of this week and of as many as are asked for after it. There is no
-- default partition: what it held would keep the right one from being made. Attaching lets
-- senders and readers go on, as creating a partition in place would not.
create function make_message_partitions(ahead int) returns void language plpgsql as $$
declare
    monday date;
    partition text;
begin
    perform pg_advisory_xact_lock(hashtextextended('message partitions', 0));
    for monday in
        select week_of(now()) + 7 * weeks from generate_series(0, ahead) as weeks
    loop
        partition := message_partition(monday);
        continue when to_regclass(quote_ident(partition)) is not null;
        execute format(
            'create table %I (like messages including defaults including constraints)', partition);
        execute format(
            'alter table messages attach partition %I for values from (%L) to (%L)',
            partition, monday::timestamp at time zone 'UTC',
            (monday + 7)::timestamp at time zone 'UTC');
    end loop;
end $$;

-- Drops the partitions that hold nothing younger than so many days; how many it dropped. One
-- that is being read keeps its turn for the next time.
create function drop_message_partitions(days int) returns int language plpgsql
set lock_timeout = '2s' as $$
declare
    monday date;
    dropped int := 0;
begin
    perform pg_advisory_xact_lock(hashtextextended('message partitions', 0));
    for monday in
        select to_date(right(c.relname, 8), 'YYYYMMDD')
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'messages'::regclass
         order by 1
    loop
        continue when (monday + 7)::timestamp at time zone 'UTC' > now() - make_interval(days => days);
        begin
            execute format('drop table %I', message_partition(monday));
            delete from message_tallies where week = monday;
            dropped := dropped + 1;
        exception when lock_not_available then
            null;
        end;
    end loop;
    return dropped;
end $$;

-- A page of a channel's messages, the latest first; a null does not filter. Planned anew each
-- time, so that it is read off the index that fits the filters that are there.
create function matching_messages(
    in_channel uuid, with_name text, by_publisher uuid, under_subtopic text, by_protocol text,
    from_time float8, to_time float8, at_least float8, at_most float8, exclusive boolean,
    flag boolean, words text, bytes text, page_limit bigint, page_offset bigint
) returns setof messages language plpgsql stable
set plan_cache_mode = force_custom_plan as $$
declare
    number constant bigint := (select id from streams where channel_id = in_channel);
begin
    return query
    select * from messages m
     where m.stream = number
       and (with_name is null or m.name = with_name)
       and (by_publisher is null or m.publisher = by_publisher)
       and (under_subtopic is null or m.subtopic = under_subtopic)
       and (by_protocol is null or m.protocol = by_protocol)
       and (from_time is null or m.time >= from_time)
       and (to_time is null or m.time < to_time)
       and (at_least is null or m.value > at_least or (m.value = at_least and not exclusive))
       and (at_most is null or m.value < at_most or (m.value = at_most and not exclusive))
       and (flag is null or m.bool_value = flag)
       and (words is null or m.string_value = words)
       and (bytes is null or m.data_value = bytes)
     order by m.time desc, m.id desc
     limit page_limit offset page_offset;
end $$;

select make_message_partitions(4);
