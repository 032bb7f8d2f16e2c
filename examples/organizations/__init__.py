"""Two organizations in one SQLite database, with a bucket each."""
