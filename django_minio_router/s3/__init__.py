"""One S3 server: its clients, signatures, uploads, reads and listings."""
