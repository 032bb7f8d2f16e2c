"""Organizations, who belongs to them, and their documents."""
