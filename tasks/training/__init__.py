"""Attempts as data for training, and a task as an environment to learn in."""
