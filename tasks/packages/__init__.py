"""Tasks from releases on the package index."""
