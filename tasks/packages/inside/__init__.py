"""What is sent into a sandbox to see which tests pass with a release."""
