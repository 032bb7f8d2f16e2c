"""Direct upload: from the browser to the tenant's bucket, without passing through Django."""
