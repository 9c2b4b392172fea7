"""Where calls run: one protocol, several backends, one conformance suite for all."""
