"""Kinds of bugs, each found on the syntax tree and made as an edit of the text. One file a family."""
