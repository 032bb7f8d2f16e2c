"""What each tenant of a package other than django-tenants has tables of its own for."""
