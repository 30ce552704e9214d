"""Every fast way against the plain one: the same requests, with the way off and on, byte by byte.

``conversation`` says what is sent and how it is cut, ``held`` sends it to a gateway and notes all
that can be seen of it afterwards, ``defects`` breaks each way on purpose, so that each comparison is
seen to notice.
"""
