-- What happens to a file is put into the outbox as it is, in no API's words: messaging words it
-- when it delivers. Statements that change files call this in their own transaction, so that an
-- event is told if and only if what it tells of is committed. How many webhooks it is for.

create function tell_of_file(
    event text, kind text, owner text, name text, size bigint, sha256 bytea, content_type text
) returns bigint language sql volatile as $$
    with told as (
        insert into deliveries (webhook_id, event, body)
        select w.id, 'files', jsonb_build_object(
            'event', $1, 'kind', $2, 'owner', $3, 'name', $4, 'size', $5,
            'sha256', encode($6, 'hex'), 'content_type', $7,
            'time', extract(epoch from clock_timestamp()))::text
        from webhooks w where $2 = 'things' and w.owner = $3 and w.files
        returning 1
    )
    select count(*) from told
$$;
