"""Three times and one."""


def steps(n):
    count = 1
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def longest(limit):
    return max(range(1, limit), key=steps)
