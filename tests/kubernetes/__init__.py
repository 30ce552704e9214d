"""``deploy/kubernetes``: what it has to say of a gateway, and the chart rendered by Helm itself.

There is no cluster here. ``make kubernetes`` installs Helm's library and Kubernetes' schemas (350 MB), renders the chart
into ``rendered.yaml`` and holds every manifest to its schema; ``make test`` holds what was rendered last, and the base,
to the rules.
"""
