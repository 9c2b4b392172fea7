"""What a delivered patch is worth."""
