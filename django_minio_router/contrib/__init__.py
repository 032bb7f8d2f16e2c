"""For packages that a project need not have: one module for each."""
