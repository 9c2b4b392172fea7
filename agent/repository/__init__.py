"""The user's repository: taken in as a copy, given back as a branch."""
