"""The fleet simulator: many devices, each with its client's habits, on a few cores.

A device is one task: a plan (which ranges, in which order), a link (bandwidth, round trip,
cuts), and a flash that is compared with the known image and hashed.
"""
