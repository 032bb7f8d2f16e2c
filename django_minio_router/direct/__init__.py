"""Direct upload: from the browser into the tenant's bucket, and not one byte through Django."""
