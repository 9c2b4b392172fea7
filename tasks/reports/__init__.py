"""A run in numbers, words and pages."""
