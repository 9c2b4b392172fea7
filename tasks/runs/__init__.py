"""Attempts, and what they leave behind."""
