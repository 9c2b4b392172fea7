"""Convert text."""


def convert(kind, text):
    if kind == "upper":
        return text.upper()
    if kind == "reverse":
        return text[::-1]
    raise LookupError(f"no converter {kind!r}")
