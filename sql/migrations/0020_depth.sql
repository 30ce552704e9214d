-- A group's place in its tree: the ids from the root to itself, of the nearest 64. New groups are at most 16 deep;
-- older ones may be deeper, and a page of them must not cost their whole height each.
create or replace function group_path(wanted uuid) returns uuid[] language sql stable as $$
    with recursive up (id, parent_id, height) as (
        select id, parent_id, 0 from groups where id = wanted
        union all
        select g.id, g.parent_id, up.height + 1
          from groups g join up on g.id = up.parent_id
         where up.height < 63
    )
    select array_agg(id order by height desc) from up
$$;
