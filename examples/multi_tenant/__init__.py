"""A django-tenants project in which each tenant's files have a bucket of their own."""
