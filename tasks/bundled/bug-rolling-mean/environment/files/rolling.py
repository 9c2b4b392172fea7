"""Means over a sliding window."""


def rolling_mean(values, window):
    """The mean of each run of `window` neighbours in `values`, in order."""
    if window < 1:
        raise ValueError("the window has to be at least 1")
    return [sum(values[start : start + window]) / window for start in range(len(values) - window)]
