"""Projects to run, and to copy from."""
