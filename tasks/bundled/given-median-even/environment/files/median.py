"""The median of a list of numbers."""


def median(values):
    """The middle value in order; of an even number of values, the mean of the two in the middle.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("the median of no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 0:
        return (ordered[middle] + ordered[middle + 1]) / 2
    return ordered[middle]
