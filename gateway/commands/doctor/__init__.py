"""``doctor``: what is wrong with a deployment and what to do, a line for each thing it needs.

Knows what a gateway needs: settings, a secret, a disk, a database, a port, descriptors, and a
proxy in front if its address is given.

Rule: it changes nothing and makes nothing (the probe of the disk is a file that is gone again),
and what it says holds no secret.
"""
