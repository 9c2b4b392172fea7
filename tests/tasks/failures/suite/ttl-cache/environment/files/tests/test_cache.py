from cache import Cache


def test_a_value_is_kept():
    cache = Cache(10, 3, lambda: 0)
    cache.put("a", 1)
    assert cache.get("a") == 1
    assert cache.get("b", 7) == 7


def test_reading_does_not_make_it_young():
    now = [0]
    cache = Cache(10, 3, lambda: now[0])
    cache.put("a", 1)
    now[0] = 6
    assert cache.get("a") == 1
    now[0] = 12
    assert cache.get("a") is None
