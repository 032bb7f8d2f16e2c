"""Integrations with optional packages: one module for each."""
