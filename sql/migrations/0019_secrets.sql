-- Under which secrets there may be something, while one takes the place of another: a gateway that
-- does not know all of them does not start. ``deployment`` has the one that was settled on last.

create table deployment_secrets (
    fingerprint bytea primary key,
    since       timestamptz not null default now()
);
