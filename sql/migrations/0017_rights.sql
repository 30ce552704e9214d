-- What is committed on the strength of a right holds that right still from before it is proved
-- until the commit (hold_rights); whoever changes rights takes them alone, and says whose.
-- So a right that was taken away, and said to be, allows nothing any more.

create function alter_rights(given text[]) returns void language plpgsql as $$
declare
    whose text[] := array(select distinct id from unnest(given) id where id is not null order by id);
    one text;
begin
    if cardinality(whose) > 64 then
        whose := array['']; -- everybody: who proves a right always shares this one
    end if;
    foreach one in array whose loop
        perform pg_advisory_xact_lock(hashtextextended('rights/' || one, 0));
    end loop;
    if cardinality(whose) > 0 then
        perform pg_notify('gateway_changes',
                          case when whose = array[''] then 'identity'
                               else 'rights ' || array_to_string(whose, ' ') end);
    end if;
end $$;

-- The column named by the trigger has the id of whose rights a row of its table is about.
create function rights_altered() returns trigger language plpgsql as $$
declare
    whose text[];
begin
    execute format('select array_agg(distinct %I::text) from altered', tg_argv[0]) into whose;
    perform alter_rights(whose);
    return null;
end $$;

-- Transition tables are for one event each.
create function watch_rights(watched regclass, id_column text, events text[]) returns void
language plpgsql as $$
declare
    event text;
begin
    foreach event in array events loop
        execute format(
            'create trigger rights_altered_by_%1$s after %1$s on %2$s '
            'referencing %3$s table as altered for each statement '
            'execute function rights_altered(%4$L)',
            event, watched, case event when 'insert' then 'new' else 'old' end, id_column);
    end loop;
end $$;

drop trigger users_changed on users;
drop trigger things_changed on things;
drop trigger groups_changed on groups;
drop trigger group_things_changed on group_things;
drop trigger group_users_changed on group_users;
drop trigger api_keys_changed on api_keys;
drop trigger org_users_changed on org_users;
drop trigger org_groups_changed on org_groups;

select watch_rights('users', 'id', '{update,delete}');
select watch_rights('things', 'id', '{update,delete}');
select watch_rights('groups', 'id', '{update,delete}');
select watch_rights('group_things', 'thing_id', '{insert,update,delete}');
select watch_rights('group_users', 'user_id', '{insert,update,delete}');
select watch_rights('api_keys', 'user_id', '{update,delete}');
select watch_rights('org_users', 'user_id', '{insert,update,delete}');
select watch_rights('org_groups', 'group_id', '{insert,update,delete}');
