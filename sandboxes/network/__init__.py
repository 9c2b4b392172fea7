"""What a sandbox may reach, and the only way there."""
