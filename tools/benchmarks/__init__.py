"""Compare the package with those it replaces, the bare SDK and bare HTTP requests.

`python3 dev.py bench` starts the servers, measures and writes docs/benchmarks.md. Every package runs in a
worker process of its own, in an environment of its own, and beside the floor: one bare request of
urllib3 with a ready-made signature. What is reported is the ratio of the two in one loop, since times on
a shared machine drift by a factor of two and ratios do not.
"""
