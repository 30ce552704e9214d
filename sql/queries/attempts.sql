-- Failed attempts to be let in.

-- name: count_attempts
-- How many seconds each has to wait; if none has, they are counted.
-- $1 keys  $2 seconds that one of each takes to come back  $3 seconds for all of them  $4 counted in any case
select count_attempts($1, $2, $3, $4);
