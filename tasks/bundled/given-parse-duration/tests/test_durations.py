from durations import parse_duration


def answers(*texts):
    """What each text gives; `no` where it is refused."""
    found = []
    for text in texts:
        try:
            found.append(parse_duration(text))
        except ValueError:
            found.append("no")
    return found


def test_durations():
    assert answers("1h30m", "45s", "2h5s") == [5400, 45, 7205]


def test_nothing_is_no_duration():
    assert answers("", "3m", "0s") == ["no", 180, 0]


def test_a_unit_twice():
    assert answers("1m2m", "1h2h3s", "1m2s", "4s5s", "7m") == ["no", "no", 62, "no", 420]


def test_another_order():
    assert answers("3s1h", "1h3s", "2m1h") == ["no", 3603, "no"]


def test_other_text():
    assert answers("5", "h", "1h ", "1d", "-1h", "12m") == ["no", "no", "no", "no", "no", 720]
