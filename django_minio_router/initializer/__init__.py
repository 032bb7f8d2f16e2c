"""From the strategies in use to the buckets that must exist: planned, refused or created."""
