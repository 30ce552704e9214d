-- Certificates that a thing is known by: one, by its SHA-256, or all with a subject. Beside the key, or
-- alone; one that is to be enough alone counts once the thing has shown that it has it.

create table thing_certificates (
    id         uuid primary key,
    thing_id   uuid not null references things (id) on delete cascade,
    sha256     bytea check (octet_length(sha256) = 32),
    subject    text collate "C",
    alone      boolean not null,
    confirmed  boolean not null,
    created_at timestamptz not null default now(),
    check (num_nonnulls(sha256, subject) = 1),
    unique (thing_id, sha256),
    unique (thing_id, subject)
);
create unique index certificates_alone on thing_certificates (sha256) where alone and confirmed;
create unique index subjects_alone on thing_certificates (subject) where alone and confirmed;

select watch_rights('thing_certificates', 'thing_id', '{insert,update,delete}');
