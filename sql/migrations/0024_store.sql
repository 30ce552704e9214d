-- Which store this deployment keeps its blobs in. A gateway that would keep them elsewhere does not start:
-- what it wrote the others could not read, and what they wrote it would report as missing.

create table deployment_store (
    only_one boolean primary key default true check (only_one),
    identity text not null,
    since    timestamptz not null default now()
);
