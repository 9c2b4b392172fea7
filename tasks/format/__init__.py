"""What a task is: its folder, read and checked."""
