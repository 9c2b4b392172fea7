"""The `docker` backend: hardened containers on an engine."""
