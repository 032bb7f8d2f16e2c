"""The tenants. Their rows are on the public schema, for all sites to see."""
