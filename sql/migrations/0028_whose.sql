-- Whose rights a change is about is said wherever it can be told, so that everybody else's are not
-- looked up again: also of a log-in that ends, of more than 64 at once, and of a group that comes
-- into an org or out of it.

-- As before, but only the lock is everybody's beyond 64.
create or replace function alter_rights(given text[]) returns void language plpgsql as $$
declare
    whose text[] := array(select distinct id from unnest(given) id where id is not null order by id);
    locked text[] := case when cardinality(whose) > 64 then array[''] else whose end;
    one text;
begin
    foreach one in array locked loop
        perform pg_advisory_xact_lock(hashtextextended('rights/' || one, 0));
    end loop;
    if whose = array[''] or cardinality(whose) > 2000 then
        perform pg_notify('gateway_changes', 'identity');
        return;
    end if;
    for place in 1 .. cardinality(whose) by 200 loop -- a notification has 8000 bytes at most
        perform pg_notify('gateway_changes',
                          'rights ' || array_to_string(whose[place : place + 199], ' '));
    end loop;
end $$;

-- Who owns an org owns its groups, and what is shared with them.
create function org_rights_altered() returns trigger language plpgsql as $$
begin
    perform alter_rights(array(
        select group_id::text from altered
        union
        select u.user_id::text
          from altered a join org_users u on u.org_id = a.org_id and u.role = 4));
    return null;
end $$;

drop trigger rights_altered_by_insert on org_groups;
drop trigger rights_altered_by_update on org_groups;
drop trigger rights_altered_by_delete on org_groups;
create trigger rights_altered_by_insert after insert on org_groups
    referencing new table as altered for each statement execute function org_rights_altered();
create trigger rights_altered_by_update after update on org_groups
    referencing old table as altered for each statement execute function org_rights_altered();
create trigger rights_altered_by_delete after delete on org_groups
    referencing old table as altered for each statement execute function org_rights_altered();

-- Whose log-in it was, which an earlier gateway does not write.
alter table ended_tokens add column user_id uuid;
drop trigger tokens_ended on ended_tokens;
create trigger tokens_ended after insert on ended_tokens
    for each row when (new.user_id is null) execute function announce_identity();
