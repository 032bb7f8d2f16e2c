"""The suites of packages that work on any storage, run with one of ours: ``nox -s suites``."""
