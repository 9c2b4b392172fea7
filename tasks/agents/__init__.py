"""What works on a task."""
