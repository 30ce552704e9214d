-- Applications in quotas: their files count for their user or, in an org, for that and its owner. An
-- application counts as a group, its tokens as keys, of the same user.

create function losant_payer(wanted_user uuid, wanted_org uuid) returns uuid
language sql stable as $$
    select coalesce(wanted_user, (select owner_id from orgs where id = wanted_org))
$$;

insert into payers (kind, owner, user_id, org_id)
select 'applications', id, losant_payer(user_id, org_id), org_id from losant_applications
on conflict do nothing;

lock table usage in share row exclusive mode;
insert into account_usage as a (kind, owner, slice, files, bytes)
select c.kind, c.id::text, 0, sum(u.files), sum(u.bytes + u.condemned)
  from payers p
  join usage u on u.kind = p.kind and u.owner = p.owner
 cross join lateral (values ('users', p.user_id), ('orgs', p.org_id)) c (kind, id)
 where p.kind = 'applications' and c.id is not null
 group by c.kind, c.id
on conflict (kind, owner, slice)
do update set files = a.files + excluded.files, bytes = a.bytes + excluded.bytes;

insert into tallies (kind, owner, slice, entities)
select 'further groups', user_id, 0, count(*) from payers
 where kind = 'applications' and user_id is not null group by user_id
union all
select 'further keys', p.user_id, 0, count(*)
  from losant_tokens t join payers p on p.kind = 'applications' and p.owner = t.application
 where p.user_id is not null group by p.user_id;

create function losant_tally(what text, whose text, more bigint) returns void
language plpgsql as $$
declare
    payer constant uuid := (
        select user_id from payers where kind = 'applications' and owner = whose);
begin
    if payer is null then
        return;
    end if;
    insert into tallies as t (kind, owner, slice, entities)
    values ('further ' || what, payer, pg_backend_pid() % 16, more)
    on conflict (kind, owner, slice) do update set entities = t.entities + excluded.entities;
    perform prove_quota('users', payer::text, what, more, quota_of('users', payer::text, what));
end $$;

create function losant_application_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into payers (kind, owner, user_id, org_id)
        values ('applications', new.id, losant_payer(new.user_id, new.org_id), new.org_id);
        perform losant_tally('groups', new.id, 1);
    else
        perform losant_tally('groups', old.id, -1);
    end if;
    return null;
end $$;
create trigger losant_application_counted after insert or delete on losant_applications
    for each row execute function losant_application_counted();

create function losant_token_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        perform losant_tally('keys', new.application, 1);
    else
        perform losant_tally('keys', old.application, -1);
    end if;
    return null;
end $$;
create trigger losant_token_counted after insert or delete on losant_tokens
    for each row execute function losant_token_counted();

-- As before, and what is condemned counts until it is swept.
create or replace function losant_remove_scope() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('applications/' || old.id, 0));
    perform from scopes where kind = 'applications' and owner = old.id for update;
    if found then
        with condemned as (
            update blobs set condemned_until = now() + interval '1 hour',
                   charged_kind = 'applications', charged_owner = old.id
              from files
             where files.kind = 'applications' and files.owner = old.id
               and blobs.id = files.blob_id and blobs.condemned_until is null
            returning size
        )
        insert into usage as u (kind, owner, slice, files, bytes, condemned)
        select 'applications', old.id, 0, 0, -sum(size), sum(size) from condemned
        having count(*) > 0
        on conflict (kind, owner, slice) do update
           set bytes = u.bytes + excluded.bytes, condemned = u.condemned + excluded.condemned;
        delete from scopes where kind = 'applications' and owner = old.id;
        insert into audit (event, kind, owner, name, actor)
        values ('removed', 'applications', old.id, '', 'cascade');
    end if;
    return null;
end $$;
