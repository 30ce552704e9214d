-- The embedded server's gateway has a role of its own: it owns what it uses, and nothing else. Run as the
-- superuser, who owned everything in data directories of before.

do $$ begin
    if not exists (select from pg_roles where rolname = 'filestore') then
        create role filestore login;
    end if;
end $$;

alter database postgres owner to filestore;

do $$ declare
    statement text;
begin
    for statement in
        select format('alter table %s owner to filestore', oid::regclass)
          from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
        union all
        select format('alter sequence %s owner to filestore', oid::regclass)
          from pg_class s
         where relnamespace = 'public'::regnamespace and relkind = 'S'
           and not exists (select from pg_depend d where d.objid = s.oid and d.deptype in ('a', 'i'))
        union all
        select format('alter routine %s owner to filestore', oid::regprocedure)
          from pg_proc where pronamespace = 'public'::regnamespace
        union all
        select format('alter type %s owner to filestore', oid::regtype)
          from pg_type
         where typnamespace = 'public'::regnamespace and typtype in ('e', 'd', 'r')
    loop
        execute statement;
    end loop;
end $$;
