"""Pages to print."""


def parse(text):
    """The pages that `1-3,5` names, in order."""
    pages = []
    for part in text.split(","):
        part = part.strip()
        if "-" in part:
            first, last = part.split("-")
            pages.extend(range(int(first), int(last)))
        else:
            pages.append(int(part))
    return pages
