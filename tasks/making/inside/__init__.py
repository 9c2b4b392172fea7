"""What is sent into a sandbox to run a project's tests and tell what they saw: no import of anything of Bridle."""
