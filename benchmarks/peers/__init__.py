"""The peers: each is started by the suite itself, on loopback, and says its version.

A peer that is not to be had raises ``Missing`` with the reason.
"""
