"""Torture: faults at full size, ``python -m tests.torture [suite ...]``, as ``make torture`` runs them.

A suite is a module in ``tests/torture/suites`` with a value ``SUITE`` (``tests/torture/suite.py`` is the contract);
what is there is found, nothing else has to name it. ``make test`` runs a few cases of each (``test_torture.py``).

Rule: a case draws from its own seeded random alone, so that ``--seed N --case K`` brings it back.
"""
