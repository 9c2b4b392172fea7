"""What is uploaded into a grading sandbox and runs there: no import of anything of Bridle."""
