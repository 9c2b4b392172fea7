cat > windows.py <<'Y'
"""What happens in a window that slides over a list of values."""

from collections import deque


def maxima(values, width):
    """The greatest value of each window of `width` neighbours."""
    if width < 1:
        raise ValueError("width")
    falling, found = deque(), []
    for place, value in enumerate(values):
        while falling and values[falling[-1]] < value:
            falling.pop()
        falling.append(place)
        if falling[0] <= place - width:
            falling.popleft()
        if place >= width - 1:
            found.append(values[falling[0]])
    return found


def longest_within(values, spread):
    """Start and length of the longest run of neighbours whose greatest and least value differ by at most `spread`.

    Of several the first. (0, 0) for no values.
    """
    falling, rising, start, best = deque(), deque(), 0, (0, 0)
    for place, value in enumerate(values):
        while falling and values[falling[-1]] < value:
            falling.pop()
        while rising and values[rising[-1]] > value:
            rising.pop()
        falling.append(place)
        rising.append(place)
        while start <= place and not values[falling[0]] - values[rising[0]] <= spread:
            start += 1
            if falling[0] < start:
                falling.popleft()
            if rising[0] < start:
                rising.popleft()
            if not falling or not rising:
                break
        if place + 1 - start > best[1]:
            best = (start, place + 1 - start)
    return best
Y
