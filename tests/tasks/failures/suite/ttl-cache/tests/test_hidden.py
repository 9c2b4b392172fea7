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


def test_old_ones_do_not_count():
    now = [0]
    cache = Cache(10, 3, lambda: now[0])
    cache.put("a", 1)
    now[0] = 11
    cache.put("b", 1)
    assert len(cache) == 1


def test_the_least_recently_read_goes():
    cache = Cache(10, 2, lambda: 0)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_putting_again_takes_no_room():
    cache = Cache(10, 2, lambda: 0)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("b", 3)
    assert (cache.get("a"), cache.get("b")) == (1, 3)
