"""``make attack``: everybody who may come near a gateway attacks it, while an honest device downloads from it.

``target`` is what is attacked and how one gets there, ``attacks`` are the attacks, ``hostile`` runs one of them in
a process of its own, ``honest`` are those who are to be served meanwhile, ``stage`` brings them together
and judges. All of it is on loopback; whoever attacks comes from another address than who is served.
"""
