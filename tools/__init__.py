"""What the model can call: one file a tool, each small enough to read at a sitting."""
