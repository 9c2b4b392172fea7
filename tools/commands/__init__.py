"""How the effects of a shell command are found: a syntax tree, what is known of its words, a table of commands."""
