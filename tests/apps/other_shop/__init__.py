"""Tenants of a package other than django-tenants, on the public schema."""
