"""The `bridle` command: thin, one file a group of commands, no logic of its own."""
