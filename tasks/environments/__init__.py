"""What an attempt begins with."""
