"""The host's end of the stream to a sandbox's resident runner; the other end is in `inside/`."""
