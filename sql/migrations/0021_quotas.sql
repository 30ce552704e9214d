-- Quotas: how much a thing, group, user or org may have. What is used is kept where it changes, in
-- the transaction that changes it; the limit is proved after that, in the same transaction.
--
-- A file counts for every account that it falls under: the scope in which its name is, the user who
-- owns that (payers), and the org that it is in. usage is a scope's own account; account_usage has
-- those of users and orgs, which triggers on usage keep. Bytes count until they are swept: what is
-- condemned is no file any more, and still counts for the scope in which it was one.
--
-- The rows that uploads have while they run (reservations) count like bytes that are there. They
-- have a lease, which their gateway renews; the commit takes the place of the reservation.

-- Whoever commits meanwhile would be left out of the sums below.
lock table usage in share row exclusive mode;

alter table usage add column condemned bigint not null default 0;

-- Where a condemned blob counts; null: nowhere, as one that an older gateway condemned.
alter table blobs add column charged_kind text, add column charged_owner text;
create index blobs_charged on blobs (charged_kind, charged_owner) where charged_kind is not null;

-- What is condemned outlives its scope, and so does what is kept of it.
alter table usage drop constraint usage_kind_owner_fkey;

-- Whom a scope's files count for. ended: the scope is gone, its bytes may not be.
create table payers (
    kind    text not null,
    owner   text not null,
    user_id uuid,
    org_id  uuid,
    ended   boolean not null default false,
    primary key (kind, owner)
);
create index payers_of_user on payers (user_id);
create index payers_of_org on payers (org_id) where org_id is not null;
create index payers_ended on payers (kind, owner) where ended;

-- The accounts of users and orgs (kind users, orgs), in slices as usage is; bytes with those that are
-- condemned.
create table account_usage (
    kind  text not null,
    owner text not null,
    slice smallint not null,
    files bigint not null,
    bytes bigint not null,
    primary key (kind, owner, slice)
);

-- What an account has had of a day (of UTC): messages and their bytes.
create table daily_usage (
    kind     text not null,
    owner    text not null,
    day      date not null,
    slice    smallint not null,
    messages bigint not null,
    bytes    bigint not null,
    primary key (kind, owner, day, slice)
);
create index daily_usage_by_day on daily_usage (day);

-- Room that uploads under way were promised, in every account that they fall under. id is that of
-- the blob that it is for.
create table reservations (
    id         uuid not null,
    kind       text not null,
    owner      text not null,
    bytes      bigint not null,
    expires_at timestamptz not null,
    primary key (id, kind, owner)
);
create index reservations_of_account on reservations (kind, owner);

-- What an administrator set: a null amount is no limit, whatever the default is.
create table quotas (
    kind     text not null,
    owner    text not null,
    resource text not null,
    amount   bigint check (amount >= 0),
    primary key (kind, owner, resource)
);

-- What the deployment's settings say of all others. class: things, groups, users, orgs; newcomers are
-- users who registered by themselves.
create table quota_defaults (
    class    text not null,
    resource text not null,
    amount   bigint not null check (amount >= 0),
    primary key (class, resource)
);

alter table users add column newcomer boolean not null default false;

insert into payers (kind, owner, user_id)
select 'things', id::text, owner_id from things
union all
select 'users', id::text, id from users;
insert into payers (kind, owner, user_id, org_id)
select 'groups', g.id::text, g.owner_id, o.org_id
  from groups g left join org_groups o on o.group_id = g.id;

insert into account_usage (kind, owner, slice, files, bytes)
select a.kind, a.id::text, 0, sum(u.files), sum(u.bytes)
  from payers p
  join usage u on u.kind = p.kind and u.owner = p.owner
 cross join lateral (values ('users', p.user_id), ('orgs', p.org_id)) a (kind, id)
 where a.id is not null
 group by a.kind, a.id;

-- The accounts that a scope's files count for.
create function accounts_of(in_kind text, in_owner text)
returns table (kind text, owner text) language sql stable as $$
    select in_kind, in_owner where in_kind <> 'users'
    union all
    select 'orgs', p.org_id::text from payers p
     where p.kind = in_kind and p.owner = in_owner and p.org_id is not null
    union all
    select 'users', p.user_id::text from payers p
     where p.kind = in_kind and p.owner = in_owner and p.user_id is not null
$$;

-- How much an account may have; null: as much as it likes. No default holds for administrators.
create function quota_of(in_kind text, in_owner text, in_resource text)
returns bigint language sql stable as $$
    select case when q.kind is not null then q.amount else d.amount end
      from (values (1)) one
      left join users u on in_kind = 'users' and u.id::text = in_owner
      left join quotas q on q.kind = in_kind and q.owner = in_owner and q.resource = in_resource
      left join quota_defaults d on d.resource = in_resource and d.class = case
            when in_kind <> 'users' then in_kind
            when u.admin then ''
            when u.newcomer then 'newcomers'
            else 'users' end
$$;

-- What uploads under way were promised of an account.
create function quota_reserved(in_kind text, in_owner text) returns bigint language sql as $$
    select coalesce(sum(bytes), 0)::bigint from reservations
     where kind = in_kind and owner = in_owner and expires_at > clock_timestamp()
$$;

-- How much an account has, without what is reserved. What a dialect counts as one of these, it
-- tallies under the same name with "further" before it.
create function quota_used(in_kind text, in_owner text, in_resource text)
returns bigint language plpgsql as $$
declare
    is_user constant boolean := in_kind = 'users';
    found bigint;
begin
    if in_resource in ('bytes', 'files') and in_kind in ('users', 'orgs') then
        select sum(case in_resource when 'bytes' then bytes else files end) into found
          from account_usage where kind = in_kind and owner = in_owner;
    elsif in_resource in ('bytes', 'files') then
        select sum(case in_resource when 'bytes' then bytes + condemned else files end) into found
          from usage where kind = in_kind and owner = in_owner;
    elsif in_resource in ('messages', 'message_bytes') then
        select sum(case in_resource when 'messages' then messages else bytes end) into found
          from daily_usage
         where kind = in_kind and owner = in_owner and day = (now() at time zone 'UTC')::date;
    elsif in_kind = 'groups' and in_resource = 'things' then
        select count(*) into found from group_things where group_id = in_owner::uuid;
    elsif in_kind = 'orgs' and in_resource = 'groups' then
        select count(*) into found from org_groups where org_id = in_owner::uuid;
    elsif in_kind = 'things' and in_resource = 'webhooks' then
        select count(*) into found from webhooks where thing_id = in_owner::uuid;
    elsif is_user and in_resource in ('things', 'channels') then
        found := tally_of(in_resource, in_owner::uuid);
    elsif is_user and in_resource = 'groups' then
        select count(*) into found from groups where owner_id = in_owner::uuid;
    elsif is_user and in_resource = 'orgs' then
        select count(*) into found from orgs where owner_id = in_owner::uuid;
    elsif is_user and in_resource = 'webhooks' then
        select count(*) into found from things t join webhooks w on w.thing_id = t.id
         where t.owner_id = in_owner::uuid;
    elsif is_user and in_resource = 'keys' then
        select count(*) into found from api_keys where user_id = in_owner::uuid;
    end if;
    if is_user then
        found := coalesce(found, 0) + tally_of('further ' || in_resource, in_owner::uuid);
    end if;
    return coalesce(found, 0);
end $$;

create function quota_lock(in_kind text, in_owner text, in_resource text)
returns bigint language sql immutable as $$
    select hashtextextended('quota/' || in_kind || '/' || in_owner || '/' || in_resource, 0)
$$;

-- The refusal, with what there is to say about it for whoever words it. used: without what was wanted.
create function refuse_quota(
    in_kind text, in_owner text, in_resource text, most bigint, used bigint, wanted bigint
) returns void language plpgsql as $$
begin
    raise exception using errcode = 'FQ001', message = 'over quota', detail = jsonb_build_object(
        'kind', in_kind, 'owner', in_owner, 'resource', in_resource,
        'limit', most, 'used', used, 'wanted', wanted,
        'seconds', case when in_resource in ('messages', 'message_bytes') then 86400
            - mod(extract(epoch from clock_timestamp())::bigint, 86400) end)::text;
end $$;

-- How much one transaction may add, at most, for it to be one of many at a time (see prove_quota).
-- Bytes: the most that an upload has without a reservation.
create function quota_grain(in_resource text) returns bigint language sql immutable as $$
    select case in_resource
        when 'bytes' then 1048576 when 'files' then 1
        when 'messages' then 100 when 'message_bytes' then 65536 else 0 end::bigint
$$;

-- Refuses if an account has too much, now that this transaction added `more` to it.
--
-- What others add and have not committed is not seen; so whoever proves waits for those who did. Far
-- from the limit nobody need wait: of those who add little there are as many at a time as there are
-- connections, so that what is not seen has a bound, and they share the lock. Whoever is nearer than
-- twice that, or adds more, takes the lock alone, waits for all who share it, and sees everything.
create function prove_quota(
    in_kind text, in_owner text, in_resource text, more bigint, most bigint
) returns void language plpgsql as $$
declare
    name constant bigint := quota_lock(in_kind, in_owner, in_resource);
    grain constant bigint := quota_grain(in_resource);
    unseen constant bigint := grain * current_setting('max_connections')::bigint;
    used bigint;
begin
    if more <= 0 or most is null then
        return;
    end if;
    if more <= grain and quota_taken(in_kind, in_owner, in_resource) + 2 * unseen <= most then
        perform pg_advisory_xact_lock_shared(name);
        if quota_taken(in_kind, in_owner, in_resource) + unseen <= most then
            return;
        end if;
    end if;
    perform pg_advisory_xact_lock(name);
    used := quota_taken(in_kind, in_owner, in_resource);
    if used > most then
        perform refuse_quota(in_kind, in_owner, in_resource, most, used - more, more);
    end if;
end $$;

-- Used and reserved.
create function quota_taken(in_kind text, in_owner text, in_resource text)
returns bigint language plpgsql as $$
begin
    if in_resource = 'bytes' then
        return quota_used(in_kind, in_owner, in_resource) + quota_reserved(in_kind, in_owner);
    end if;
    return quota_used(in_kind, in_owner, in_resource);
end $$;

-- Counts what a scope has more, or less, for its user and org, and proves the quotas of all of them.
-- Not while totals are counted again: that adds nothing.
create function charge(in_kind text, in_owner text, more_files bigint, more_bytes bigint)
returns void language plpgsql as $$
declare
    proved record;
begin
    if more_files = 0 and more_bytes = 0 then
        return;
    end if;
    insert into account_usage as u (kind, owner, slice, files, bytes)
    select a.kind, a.owner, pg_backend_pid() % 16, more_files, more_bytes
      from accounts_of(in_kind, in_owner) a where a.kind in ('orgs', 'users')
     order by a.kind, a.owner
    on conflict (kind, owner, slice)
    do update set files = u.files + excluded.files, bytes = u.bytes + excluded.bytes;
    if more_files <= 0 and more_bytes <= 0
       or current_setting('gateway.recounting', true) = 'on' then
        return;
    end if;
    for proved in
        select a.kind, a.owner, r.resource, r.more, quota_of(a.kind, a.owner, r.resource) as most
          from accounts_of(in_kind, in_owner) a
         cross join (values ('bytes', more_bytes), ('files', more_files)) r (resource, more)
         where r.more > 0
         order by a.kind, a.owner, r.resource
    loop
        perform prove_quota(proved.kind, proved.owner, proved.resource, proved.more, proved.most);
    end loop;
end $$;

create function usage_added() returns trigger language plpgsql as $$
begin
    perform charge(c.kind, c.owner, c.files, c.bytes)
       from (select kind, owner, sum(files)::bigint as files,
                    sum(bytes + condemned)::bigint as bytes
               from added group by kind, owner order by kind, owner) c;
    return null;
end $$;

create function usage_changed() returns trigger language plpgsql as $$
begin
    perform charge(c.kind, c.owner, c.files, c.bytes)
       from (select kind, owner, sum(files)::bigint as files, sum(bytes)::bigint as bytes
               from (select kind, owner, files, bytes + condemned as bytes from added
                     union all
                     select kind, owner, -files, -bytes - condemned from gone) changes
              group by kind, owner order by kind, owner) c;
    return null;
end $$;

create function usage_gone() returns trigger language plpgsql as $$
begin
    perform charge(c.kind, c.owner, c.files, c.bytes)
       from (select kind, owner, -sum(files)::bigint as files,
                    -sum(bytes + condemned)::bigint as bytes
               from gone group by kind, owner order by kind, owner) c;
    return null;
end $$;

create trigger usage_added after insert on usage
    referencing new table as added for each statement execute function usage_added();
create trigger usage_changed after update on usage
    referencing old table as gone new table as added
    for each statement execute function usage_changed();
create trigger usage_gone after delete on usage
    referencing old table as gone for each statement execute function usage_gone();

-- The scope's files are gone; what is condemned counts on.
create function end_scope() returns trigger language plpgsql as $$
begin
    update usage set files = 0, bytes = 0
     where kind = old.kind and owner = old.owner and (files <> 0 or bytes <> 0);
    update payers set ended = true where kind = old.kind and owner = old.owner;
    return null;
end $$;

create trigger scope_ended after delete on scopes
    for each row execute function end_scope();

-- Whoever has a scope from now on. One that is made again under the same id takes over what is left.
create function payers_added() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'users' then
        insert into payers (kind, owner, user_id) select 'users', id::text, id from added
        on conflict (kind, owner) do update set user_id = excluded.user_id, ended = false;
    else
        insert into payers (kind, owner, user_id) select tg_table_name, id::text, owner_id from added
        on conflict (kind, owner)
        do update set user_id = excluded.user_id, org_id = null, ended = false;
    end if;
    return null;
end $$;

create trigger users_pay after insert on users
    referencing new table as added for each statement execute function payers_added();
create trigger things_paid after insert on things
    referencing new table as added for each statement execute function payers_added();
create trigger groups_paid after insert on groups
    referencing new table as added for each statement execute function payers_added();

create function payer_changed() returns trigger language plpgsql as $$
begin
    update payers set user_id = new.owner_id where kind = tg_table_name and owner = new.id::text;
    return null;
end $$;

create trigger thing_paid_by_another after update of owner_id on things
    for each row when (old.owner_id <> new.owner_id) execute function payer_changed();
create trigger group_paid_by_another after update of owner_id on groups
    for each row when (old.owner_id <> new.owner_id) execute function payer_changed();

-- A group that comes to an org brings its files along; one that is removed leaves what is condemned.
-- These come after the triggers that take the rights' locks, as whoever changes a file does: the
-- scope's lock is taken below.
create function group_joined_org() returns trigger language plpgsql as $$
begin
    update payers p set org_id = a.org_id
      from added a where p.kind = 'groups' and p.owner = a.group_id::text;
    return null;
end $$;

create function group_left_org() returns trigger language plpgsql as $$
begin
    update payers p set org_id = null
      from gone join groups g on g.id = gone.group_id
     where p.kind = 'groups' and p.owner = gone.group_id::text;
    return null;
end $$;

create trigger totals_follow_group after insert on org_groups
    referencing new table as added for each statement execute function group_joined_org();
create trigger totals_leave_group after delete on org_groups
    referencing old table as gone for each statement execute function group_left_org();

-- Waits for changes of the scope's files that are committing, which counted for whom it was.
create function close_paid_scope() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(old.kind || '/' || old.owner, 0));
    return new;
end $$;

create function move_totals() returns trigger language plpgsql as $$
declare
    total_files bigint;
    total_bytes bigint;
    moved record;
begin
    select coalesce(sum(files), 0), coalesce(sum(bytes + condemned), 0)
      into total_files, total_bytes
      from usage where kind = new.kind and owner = new.owner;
    for moved in
        select c.kind, c.owner, c.sign
          from (values ('users', old.user_id::text, -1), ('users', new.user_id::text, 1),
                       ('orgs', old.org_id::text, -1), ('orgs', new.org_id::text, 1))
               c (kind, owner, sign)
         where c.owner is not null
           and case c.kind when 'users' then old.user_id is distinct from new.user_id
                           else old.org_id is distinct from new.org_id end
         order by c.kind, c.owner
    loop
        insert into account_usage as u (kind, owner, slice, files, bytes)
        values (moved.kind, moved.owner, pg_backend_pid() % 16,
                moved.sign * total_files, moved.sign * total_bytes)
        on conflict (kind, owner, slice)
        do update set files = u.files + excluded.files, bytes = u.bytes + excluded.bytes;
        perform prove_quota(moved.kind, moved.owner, r.resource, moved.sign * r.more,
                            quota_of(moved.kind, moved.owner, r.resource))
           from (values ('bytes', total_bytes), ('files', total_files)) r (resource, more);
    end loop;
    return null;
end $$;

create trigger payers_closing before update on payers
    for each row when (old.user_id is distinct from new.user_id
                       or old.org_id is distinct from new.org_id)
    execute function close_paid_scope();
create trigger payers_moved after update on payers
    for each row when (old.user_id is distinct from new.user_id
                       or old.org_id is distinct from new.org_id)
    execute function move_totals();

-- Entities are counted as they are; whoever adds some proves that there are not too many. The names
-- of these triggers come after those of the tallies' own, which count first.
create function owned_added() returns trigger language plpgsql as $$
begin
    perform prove_quota('users', c.owner, tg_table_name, c.more,
                        quota_of('users', c.owner, tg_table_name))
       from (select owner_id::text as owner, count(*) as more
               from added group by owner_id order by owner_id) c;
    return null;
end $$;

create trigger things_within_quota after insert on things
    referencing new table as added for each statement execute function owned_added();
create trigger channels_within_quota after insert on channels
    referencing new table as added for each statement execute function owned_added();
create trigger groups_within_quota after insert on groups
    referencing new table as added for each statement execute function owned_added();
create trigger orgs_within_quota after insert on orgs
    referencing new table as added for each statement execute function owned_added();

create function keys_added() returns trigger language plpgsql as $$
begin
    perform prove_quota('users', c.owner, 'keys', c.more, quota_of('users', c.owner, 'keys'))
       from (select user_id::text as owner, count(*) as more
               from added group by user_id order by user_id) c;
    return null;
end $$;

create trigger keys_within_quota after insert on api_keys
    referencing new table as added for each statement execute function keys_added();

create function webhooks_added() returns trigger language plpgsql as $$
begin
    perform prove_quota(a.kind, a.owner, 'webhooks', a.more, quota_of(a.kind, a.owner, 'webhooks'))
       from (select 'things' as kind, thing_id::text as owner, count(*) as more
               from added group by thing_id
             union all
             select 'users', t.owner_id::text, count(*)
               from added w join things t on t.id = w.thing_id group by t.owner_id
             order by 1, 2) a;
    return null;
end $$;

create trigger webhooks_within_quota after insert on webhooks
    referencing new table as added for each statement execute function webhooks_added();

create function members_added() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'group_things' then
        perform prove_quota('groups', c.owner, 'things', c.more, quota_of('groups', c.owner, 'things'))
           from (select group_id::text as owner, count(*) as more
                   from added group by group_id order by group_id) c;
    else
        perform prove_quota('orgs', c.owner, 'groups', c.more, quota_of('orgs', c.owner, 'groups'))
           from (select org_id::text as owner, count(*) as more
                   from added group by org_id order by org_id) c;
    end if;
    return null;
end $$;

create trigger group_things_within_quota after insert on group_things
    referencing new table as added for each statement execute function members_added();
create trigger org_groups_within_quota after insert on org_groups
    referencing new table as added for each statement execute function members_added();

-- Counts messages for the thing that sends them and for its owner.
create function spend_messages(publisher uuid, more bigint, more_bytes bigint)
returns bigint language plpgsql as $$
declare
    proved record;
begin
    insert into daily_usage as u (kind, owner, day, slice, messages, bytes)
    select a.kind, a.owner, (now() at time zone 'UTC')::date, pg_backend_pid() % 16, more, more_bytes
      from accounts_of('things', publisher::text) a where a.kind in ('things', 'users')
     order by a.kind, a.owner
    on conflict (kind, owner, day, slice)
    do update set messages = u.messages + excluded.messages, bytes = u.bytes + excluded.bytes;
    for proved in
        select a.kind, a.owner, r.resource, r.more, quota_of(a.kind, a.owner, r.resource) as most
          from accounts_of('things', publisher::text) a
         cross join (values ('message_bytes', more_bytes), ('messages', more)) r (resource, more)
         where a.kind in ('things', 'users')
         order by a.kind, a.owner, r.resource
    loop
        perform prove_quota(proved.kind, proved.owner, proved.resource, proved.more, proved.most);
    end loop;
    return more;
end $$;

-- Room for an upload in every account that it falls under: between `least_wanted` and `wanted` bytes
-- more than it has, or a refusal (which names `wanted`, if the two differ by a form's framing only); null if none of them has a limit. Losing a reservation to a crash of
-- the database costs nothing (the commit proves again), so nobody waits for the disk.
create function reserve_bytes(
    reservation uuid, in_kind text, in_owner text, wanted bigint, least_wanted bigint,
    lease_seconds float8
) returns bigint language plpgsql as $$
declare
    account record;
    granted bigint := wanted;
    taken bigint;
    is_limited boolean := false;
begin
    for account in
        select a.kind, a.owner, quota_of(a.kind, a.owner, 'bytes') as most
          from accounts_of(in_kind, in_owner) a order by a.kind, a.owner
    loop
        continue when account.most is null;
        is_limited := true;
        perform pg_advisory_xact_lock(quota_lock(account.kind, account.owner, 'bytes'));
        taken := quota_taken(account.kind, account.owner, 'bytes');
        if account.most - taken < least_wanted then
            perform refuse_quota(
                account.kind, account.owner, 'bytes', account.most, taken,
                case when wanted - least_wanted <= 65536 then wanted else least_wanted end);
        end if;
        granted := least(granted, account.most - taken);
    end loop;
    if not is_limited then
        return null;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    insert into reservations as r (id, kind, owner, bytes, expires_at)
    select reservation, a.kind, a.owner, granted,
           clock_timestamp() + make_interval(secs => lease_seconds)
      from accounts_of(in_kind, in_owner) a
    on conflict (id, kind, owner)
    do update set bytes = r.bytes + excluded.bytes, expires_at = excluded.expires_at;
    return granted;
end $$;

-- What the accounts of users and orgs are, as of their scopes; whoever changes files waits.
create function recount_account(in_kind text, in_owner text) returns void language plpgsql as $$
begin
    lock table usage in share row exclusive mode;
    delete from account_usage where kind = in_kind and owner = in_owner;
    insert into account_usage (kind, owner, slice, files, bytes)
    select in_kind, in_owner, 0, sum(u.files), sum(u.bytes + u.condemned)
      from payers p join usage u on u.kind = p.kind and u.owner = p.owner
     where case in_kind when 'users' then p.user_id = in_owner::uuid
                        else p.org_id = in_owner::uuid end
    having count(*) > 0;
end $$;
