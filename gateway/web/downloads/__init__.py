"""Files out: look up, decide, deliver.

``lookup`` finds who asks for what, mostly in a cache; ``decide`` is pure and says what the response
is; ``deliver`` sends it, by what the store can do and the front server asked for. ``serve`` is the
three in a row; ``fastpath`` is the same for the commonest case, before there is a request at all.
"""
