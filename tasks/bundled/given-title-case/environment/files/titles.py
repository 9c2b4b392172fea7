"""Titles as they are printed."""

SMALL = {"a", "an", "and", "of", "or", "the", "to", "in"}


def title_case(text):
    """Every word with a capital letter, but small words only at the beginning and at the end of the title."""
    words = text.lower().split()
    last = len(words)
    shaped = []
    for number, word in enumerate(words):
        if word in SMALL and 0 < number < last:
            shaped.append(word)
        else:
            shaped.append(word.capitalize())
    return " ".join(shaped)
