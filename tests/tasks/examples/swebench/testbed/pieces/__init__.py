def split(text, mark):
    """The pieces of `text` between marks, without empty ones."""
    return text.split(mark)
