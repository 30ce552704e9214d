-- What a commit asks about quotas takes one statement however many accounts there are, and finds a user
-- by its key: by the text of its id, all users were looked at.

create or replace function quota_of(in_kind text, in_owner text, in_resource text)
returns bigint language sql stable as $$
    select case when q.kind is not null then q.amount else d.amount end
      from (values (1)) one
      left join users u on u.id = case when in_kind = 'users' then in_owner::uuid end
      left join quotas q on q.kind = in_kind and q.owner = in_owner and q.resource = in_resource
      left join quota_defaults d on d.resource = in_resource and d.class = case
            when in_kind <> 'users' then in_kind
            when u.admin then ''
            when u.newcomer then 'newcomers'
            else 'users' end
$$;

-- The limits that hold for what a scope has more of, in the order in which they are locked.
create function limits_of(in_kind text, in_owner text, more_files bigint, more_bytes bigint)
returns table (kind text, owner text, resource text, more bigint, most bigint)
language sql stable as $$
    select a.kind, a.owner, r.resource, r.more, l.most
      from (select in_kind, in_owner, in_kind where in_kind <> 'users'
            union all
            select 'orgs', p.org_id::text, 'orgs' from payers p
             where p.kind = in_kind and p.owner = in_owner and p.org_id is not null
            union all
            select 'users', p.user_id::text,
                   case when u.admin then '' when u.newcomer then 'newcomers' else 'users' end
              from payers p left join users u on u.id = p.user_id
             where p.kind = in_kind and p.owner = in_owner and p.user_id is not null
           ) a (kind, owner, class)
     cross join (values ('bytes', more_bytes), ('files', more_files)) r (resource, more)
      left join quotas q on q.kind = a.kind and q.owner = a.owner and q.resource = r.resource
      left join quota_defaults d on d.class = a.class and d.resource = r.resource
     cross join lateral (
         select case when q.kind is not null then q.amount else d.amount end) l (most)
     where r.more > 0 and l.most is not null
     order by a.kind, a.owner, r.resource
$$;

create or replace function charge(
    in_kind text, in_owner text, more_files bigint, more_bytes bigint
) returns void language plpgsql as $$
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
    for proved in select * from limits_of(in_kind, in_owner, more_files, more_bytes) loop
        perform prove_quota(proved.kind, proved.owner, proved.resource, proved.more, proved.most);
    end loop;
end $$;
