cat > pages.py <<'E'
"""Pages to print."""


def _page(text):
    if not text.strip().isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is no page")
    return int(text)


def parse(text):
    """The pages that `1-3,5` names, in order."""
    pages = []
    for part in text.split(","):
        if "-" in part:
            first, last = map(_page, part.split("-", 1))
            step = 1 if last >= first else -1
            pages.extend(range(first, last + step, step))
        else:
            pages.append(_page(part))
    return list(dict.fromkeys(pages))
E
