-- How many files of each type and status a directory has, and the application as a whole, so that
-- lists need not count. Changes are added as rows of their own, for which nobody waits; in the
-- background they are summed up, and then they are settled. Without a directory: of all.
create table losant_counts (
    id          bigint generated always as identity primary key,
    application text not null,
    directory   bytea,
    type        text not null,
    status      text not null,
    files       bigint not null,
    settled     boolean not null default false
);
create index losant_counts_of_directory on losant_counts (application, directory);
create index losant_counts_unsettled on losant_counts (id) where not settled;

insert into losant_counts (application, directory, type, status, files, settled)
select application, directory, type, status, count(*), true from losant_files
group by grouping sets ((application, type, status), (application, directory, type, status));

create function losant_count_added() returns trigger language plpgsql as $$
begin
    insert into losant_counts (application, directory, type, status, files)
    select application, directory, type, status, count(*) from added
    group by grouping sets ((application, type, status), (application, directory, type, status));
    return null;
end $$;

create function losant_count_gone() returns trigger language plpgsql as $$
begin
    insert into losant_counts (application, directory, type, status, files)
    select application, directory, type, status, -count(*) from gone
    group by grouping sets ((application, type, status), (application, directory, type, status));
    return null;
end $$;

create function losant_count_changed() returns trigger language plpgsql as $$
begin
    insert into losant_counts (application, directory, type, status, files)
    select application, directory, type, status, sum(files)
    from (
        select application, directory, type, status, 1 as files from added
        union all
        select application, directory, type, status, -1 from gone
    ) changes
    group by grouping sets ((application, type, status), (application, directory, type, status))
    having sum(files) <> 0;
    return null;
end $$;

create trigger losant_files_added after insert on losant_files
    referencing new table as added
    for each statement execute function losant_count_added();
create trigger losant_files_gone after delete on losant_files
    referencing old table as gone
    for each statement execute function losant_count_gone();
create trigger losant_files_changed after update on losant_files
    referencing old table as gone new table as added
    for each statement execute function losant_count_changed();

-- What an application had goes with it.
create function losant_forget_counts() returns trigger language plpgsql as $$
begin
    delete from losant_counts where application = old.id;
    return null;
end $$;
create trigger losant_counts_of_removed after delete on losant_applications
    for each row execute function losant_forget_counts();
