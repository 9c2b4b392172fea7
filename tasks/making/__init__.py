"""Tasks made from a repository: bugs by mutation; twins of known tasks; variants of their instructions."""
