"""The benchmark suite: every target of the table, beside peers, in one run.

``python -m benchmarks`` measures, ``compare`` sets two results side by side.

Rule: what cannot be measured says why. Nothing is left out silently, and only figures that were
taken in turns within one run are divided by each other.
"""
