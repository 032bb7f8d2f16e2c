"""Models of the test project's tenants."""
