"""Records as lines of text."""


def to_text(records):
    """One line a record: `key=value` pairs."""
    return "".join(" ".join(f"{key}={value}" for key, value in each.items()) + "\n" for each in records)
