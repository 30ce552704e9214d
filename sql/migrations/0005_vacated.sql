-- An insert that waits for another transaction to remove the same name began with a snapshot
-- that has not got the removal, so it cannot know that its date must be later. Once it need not
-- wait any more it looks again; a volatile function sees what was committed meanwhile.

create function vacated_at(wanted_kind text, wanted_owner text, wanted_name text)
returns timestamptz language sql volatile as $$
    select modified_at from vacated
    where kind = wanted_kind and owner = wanted_owner and name = wanted_name
$$;

create function postpone_file() returns trigger language plpgsql as $$
begin
    update files set modified_at = date_trunc('second', gone.modified_at) + interval '1 second'
    from vacated gone
    where files.id = new.id
      and gone.kind = new.kind and gone.owner = new.owner and gone.name = new.name
      and gone.modified_at >= date_trunc('second', new.modified_at);
    return null;
end $$;

create trigger file_postponed after insert on files
    for each row execute function postpone_file();
