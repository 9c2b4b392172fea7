"""What several tests share: real services with scripted answers, never a stand-in for our own code."""
