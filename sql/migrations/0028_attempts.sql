-- Failed attempts to be let in, counted by all gateways together. A row lasts until nothing is left to count,
-- a hundred seconds at most; whoever counts takes some away that are over, so that there are no more than
-- failed in that time. Lost in a crash, which costs a guesser a crash.
create unlogged table attempts (
    key     bytea primary key,
    full_at timestamptz not null
);
create index attempts_over on attempts (full_at);

-- Of each key one more, which is forgotten after its costs (seconds); all that one may have are forgotten
-- after its mosts. Zeros if all were counted; else how many seconds each has to wait, and none was.
-- Keys are locked in the order in which they come, and are asked for in one order everywhere.
create function count_attempts(keys bytea[], costs float8[], mosts float8[], forced boolean)
returns float8[] language plpgsql volatile as $$
declare
    moment timestamptz := clock_timestamp();
    waits float8[] := array_fill(0::float8, array[cardinality(keys)]);
    ends timestamptz;
begin
    delete from attempts a where a.key in (
        select key from attempts where full_at < moment order by full_at limit 8 for update skip locked);
    for n in 1 .. cardinality(keys) loop
        insert into attempts as a (key, full_at)
        values (keys[n], moment + make_interval(secs => costs[n]))
        on conflict (key) do update
           set full_at = greatest(a.full_at, moment) + make_interval(secs => costs[n])
        returning full_at into ends;
        waits[n] := greatest(0, extract(epoch from ends - moment)::float8 - mosts[n]);
    end loop;
    if forced or 0 = all (waits) then
        return array_fill(0::float8, array[cardinality(keys)]);
    end if;
    for n in 1 .. cardinality(keys) loop
        update attempts a set full_at = a.full_at - make_interval(secs => costs[n])
         where a.key = keys[n];
    end loop;
    return waits;
end $$;
