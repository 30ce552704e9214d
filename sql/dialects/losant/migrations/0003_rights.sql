-- As for the registry's own tables: who takes a token away waits for what it has just allowed.

drop trigger losant_tokens_changed on losant_tokens;
select watch_rights('losant_tokens', 'id', '{update,delete}');
