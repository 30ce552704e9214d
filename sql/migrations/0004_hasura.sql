-- APIs whose user ids are integers (Hasura's user_id) need one for each of our users. It is
-- never reused, so it names the same user for ever.
alter table users add column number bigint not null generated always as identity unique;

-- All files of the Hasura dialect live in one scope, which no thing or group can have.
insert into scopes (kind, owner) values ('hasura', 'default') on conflict do nothing;
