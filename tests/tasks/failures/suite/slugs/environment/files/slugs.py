"""Parts of addresses."""

import re


def slugify(title):
    """`Hello, world` becomes `hello-world`."""
    text = title.lower()
    text = re.sub(r"[^a-z0-9]+", "-", text)
    return text


def unique(titles):
    """A slug for each title; the second of the same name gets `-2`, and so on."""
    seen = {}
    out = []
    for title in titles:
        slug = slugify(title)
        seen[slug] = seen.get(slug, 0) + 1
        out.append(slug if seen[slug] == 1 else f"{slug}-{seen[slug]}")
    return out
