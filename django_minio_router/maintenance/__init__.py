"""Work on files that are there already: moved, counted, swept and purged."""
