"""Visitors of several tenants at the demo's site, under gunicorn: `python3 dev.py load`.

A package of its own, since locust patches the standard library of the process that it runs in.
"""
