-- Work that one gateway at a time does for all of them: who has it until when, and when it was last
-- done to its end. By the database's clock alone.
create table leases (
    name    text primary key,
    holder  uuid not null,
    until   timestamptz not null,
    done_at timestamptz not null default '-infinity'
);
