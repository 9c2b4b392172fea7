"""What happens in a window that slides over a list of values."""


def maxima(values, width):
    """The greatest value of each window of `width` neighbours."""
    if width < 1:
        raise ValueError("width")
    return [max(values[start : start + width]) for start in range(len(values) - width + 1)]


def longest_within(values, spread):
    """Start and length of the longest run of neighbours whose greatest and least value differ by at most `spread`.

    Of several the first. (0, 0) for no values.
    """
    best = (0, 0)
    for start in range(len(values)):
        for end in range(start + 1, len(values) + 1):
            run = values[start:end]
            if max(run) - min(run) <= spread and end - start > best[1]:
                best = (start, end - start)
    return best
