import sys

import pytest

try:
    from cache import Cache
except ImportError:
    Cache = None


class Clock:
    def __init__(self):
        self.now, self.asked = 100.0, 0

    def __call__(self):
        self.asked += 1
        return self.now


def cache_of(size=3, ttl=None, **options):
    clock, told = Clock(), []
    options.setdefault("on_drop", lambda *drop: told.append(drop))
    return Cache(size, ttl, clock=clock, **options), clock, told


def filled(size=3, ttl=None, keys="abc"):
    cache, clock, told = cache_of(size, ttl)
    for number, key in enumerate(keys):
        cache[key] = number
    return cache, clock, told


def test_a_mapping():
    cache, _, _ = filled()
    assert (cache["a"], cache.get("b"), cache.get("x"), cache.get("x", 5)) == (0, 1, None, 5)
    assert ("a" in cache, "x" in cache, len(cache)) == (True, False, 3)
    del cache["a"]
    assert "a" not in cache
    for act in (lambda: cache["a"], lambda: cache.__delitem__("a")):
        with pytest.raises(KeyError):
            act()
    cache.clear()
    assert (len(cache), list(cache)) == (0, [])


def test_without_options():
    cache = Cache(2)
    cache["a"] = 1
    assert cache["a"] == 1
    other = Cache(1, 1000)
    other["b"] = 2
    assert 999 < other.expires_in("b") <= 1000


def test_refused():
    for size, ttl in ((0, None), (-1, None), (1, 0), (1, -2)):
        with pytest.raises(ValueError):
            Cache(size, ttl)
    cache, _, _ = filled()
    for ttl in (0, -1):
        with pytest.raises(ValueError):
            cache.set("z", 1, ttl=ttl)
    assert cache.keys() == ["c", "b", "a"]


def test_the_least_recently_used_goes():
    cache, _, told = filled()
    cache["d"] = 3
    assert cache.keys() == ["d", "c", "b"]
    assert cache.get("b") == 1
    cache["e"] = 4
    assert cache.items() == [("e", 4), ("b", 1), ("d", 3)]
    assert cache["d"] == 3
    assert cache.values() == [3, 4, 1]
    assert told == [("a", 0, "size"), ("c", 2, "size")]


def test_what_is_no_use():
    cache, _, _ = filled()
    assert ("a" in cache, len(cache), list(cache)) == (True, 3, ["c", "b", "a"])
    assert (cache.peek("a"), cache.peek("x"), cache.peek("x", 1)) == (0, None, 1)
    assert cache.expires_in("a") is None
    assert cache.get("missing") is None
    assert cache.keys() == ["c", "b", "a"]


def test_setting_again():
    cache, _, told = filled()
    cache["a"] = 9
    assert cache.items() == [("a", 9), ("c", 2), ("b", 1)]
    assert told == [("a", 0, "replaced")]


def test_age():
    cache, clock, _ = filled(ttl=10)
    clock.now += 9.5
    assert cache["a"] == 0
    assert cache.expires_in("a") == 0.5
    clock.now += 0.5
    assert ("a" in cache, len(cache), cache.get("a"), cache.peek("b"), cache.keys()) == (False, 0, None, None, [])
    for act in (lambda: cache["a"], lambda: cache.expires_in("b"), lambda: cache.__delitem__("c")):
        with pytest.raises(KeyError):
            act()


def test_setting_makes_younger():
    cache, clock, _ = filled(ttl=10)
    clock.now += 6
    cache["a"] = 5
    clock.now += 6
    assert cache.items() == [("a", 5)]
    assert cache.expires_in("a") == 4.0


def test_a_life_of_its_own():
    cache, clock, _ = cache_of(5, 10)
    cache.set("short", 1, ttl=2)
    cache.set("ever", 2, ttl=None)
    cache.set("usual", 3)
    assert [cache.expires_in(key) for key in ("short", "ever", "usual")] == [2.0, None, 10.0]
    clock.now += 2
    assert cache.keys() == ["usual", "ever"]
    clock.now += 1000
    assert cache.keys() == ["ever"]
    cache["ever"] = 5
    assert cache.expires_in("ever") == 10.0


def test_the_dead_go_first():
    cache, clock, told = cache_of(3, None)
    cache["old"] = 1
    cache.set("dying", 2, ttl=5)
    cache["new"] = 3
    assert cache.get("dying") == 2
    clock.now += 5
    cache["more"] = 4
    assert cache.keys() == ["more", "new", "old"]
    assert told == [("dying", 2, "age")]
    cache["most"] = 5
    assert told[1:] == [("old", 1, "size")]


def test_setting_a_dead_key_pushes_nothing_out():
    cache, clock, told = cache_of(2)
    cache.set("a", 1, ttl=1)
    cache["b"] = 2
    clock.now += 1
    cache["a"] = 3
    assert cache.items() == [("a", 3), ("b", 2)]
    assert told == [("a", 1, "age")]


def test_iteration_is_over_what_was_there():
    cache, _, _ = filled()
    seen = []
    for key in cache:
        seen.append(key)
        cache[key + "!"] = 1
        if "b" in cache:
            del cache["b"]
    assert seen == ["c", "b", "a"]
    assert type(cache.keys()) is type(cache.values()) is type(cache.items()) is list


def test_get_or():
    cache, clock, _ = filled(ttl=10)
    assert cache.get_or("a", lambda: 1 / 0) == 0
    assert cache.keys()[0] == "a"
    assert cache.get_or("n", lambda: None) is None
    assert cache.get_or("n", lambda: 5) is None
    assert "b" not in cache
    with pytest.raises(ZeroDivisionError):
        cache.get_or("z", lambda: 1 / 0)
    assert "z" not in cache
    clock.now += 10
    assert cache.get_or("a", lambda: 7) == 7


def test_make_sets_the_key_itself():
    cache, _, told = cache_of()

    def make():
        cache["k"] = "inner"
        return "outer"

    assert cache.get_or("k", make) == "outer"
    assert cache["k"] == "outer"
    assert told == [("k", "inner", "replaced")]


def test_the_life_of_what_was_made_begins_when_it_was_set():
    cache, clock, _ = cache_of(3, 10)

    def slow():
        clock.now += 8
        return 1

    cache.get_or("k", slow)
    assert cache.expires_in("k") == 10.0


def test_none_is_a_value():
    cache, _, _ = cache_of()
    cache["n"] = None
    assert ("n" in cache, cache["n"], cache.get("n", 5), cache.peek("n", 5)) == (True, None, None, None)
    cache[None] = 1
    assert (None in cache, cache[None]) == (True, 1)


def test_everything_that_goes_is_told_once():
    cache, clock, told = filled(ttl=10)
    del cache["b"]
    clock.now += 10
    assert cache.get("a") is None
    assert cache.get("a") is None
    cache["d"] = 1
    cache.clear()
    cache.clear()
    assert told[0] == ("b", 1, "deleted")
    assert sorted(told[1:]) == [("a", 0, "age"), ("c", 2, "age"), ("d", 1, "deleted")]


def test_purge():
    cache, clock, told = filled(ttl=10)
    assert cache.purge() == 0
    clock.now += 5
    cache["b"] = 5
    clock.now += 5
    assert cache.purge() == 2
    assert cache.purge() == 0
    assert sorted(told) == [("a", 0, "age"), ("b", 1, "replaced"), ("c", 2, "age")]
    assert cache.keys() == ["b"]


def test_on_drop_sees_the_cache_as_it_is_to_be():
    seen = []
    cache, _, _ = cache_of(1, on_drop=lambda key, value, reason: seen.append((reason, cache.items())))
    cache["a"] = 1
    cache["b"] = 2
    cache["b"] = 3
    del cache["b"]
    assert seen == [("size", [("b", 2)]), ("replaced", [("b", 3)]), ("deleted", [])]


def test_on_drop_may_use_the_cache():
    def again(key, value, reason):
        if reason == "size":
            kept.append(key)
            other[key] = value

    kept, other = [], {}
    cache, _, _ = cache_of(2, on_drop=again)
    for number in range(5):
        cache[number] = number
    assert (kept, list(other)) == ([0, 1, 2], [0, 1, 2])
    cache, clock, _ = cache_of(2, 10, on_drop=lambda key, value, reason: cache.set("log", reason))
    cache["a"] = 1
    clock.now += 10
    assert cache.get("a") is None
    assert cache["log"] == "age"


def test_on_drop_raises():
    told = []

    def raising(key, value, reason):
        told.append(key)
        raise RuntimeError(key)

    cache, clock, _ = cache_of(2, 10, on_drop=raising)
    cache["a"], cache["b"] = 1, 2
    with pytest.raises(RuntimeError, match="a"):
        cache["c"] = 3
    assert cache.keys() == ["c", "b"]
    clock.now += 10
    with pytest.raises(RuntimeError) as caught:
        cache.purge()
    assert (len(told), str(caught.value)) == (3, told[1])
    assert sorted(told[1:]) == ["b", "c"]
    assert len(cache) == 0


def test_the_clock_is_called_once():
    cache, clock, _ = filled(ttl=10)
    acts = [
        lambda: cache["a"],
        lambda: cache.get("a"),
        lambda: cache.get("zz"),
        lambda: cache.peek("a"),
        lambda: cache.set("q", 1),
        lambda: cache.set("q", 1, ttl=5),
        lambda: "a" in cache,
        lambda: len(cache),
        lambda: iter(cache),
        lambda: cache.items(),
        lambda: cache.expires_in("q"),
        lambda: cache.purge(),
        lambda: cache.__delitem__("q"),
        lambda: cache.clear(),
    ]
    for number, act in enumerate(acts):
        clock.asked = 0
        act()
        assert clock.asked <= 1, number
    clock.asked = 0
    cache.get_or("new", lambda: 1)
    assert clock.asked <= 2


class Key:
    """Counts how often it is hashed or compared."""

    work = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        Key.work += 1
        return hash(self.number)

    def __eq__(self, other):
        Key.work += 1
        return self.number == other.number


def lines_run(act):
    """How many lines of cache.py, and of what it calls, are run by `act`."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def test_time_does_not_depend_on_the_number_of_entries():
    def work(size):
        cache, clock, _ = cache_of(size, 1000, on_drop=None)
        for number in range(size):
            cache[Key(number)] = number
        keys = [Key(number) for number in (-1, -2, 5, 6, 7, 8, 9)]

        def act():
            cache[keys[0]] = 1
            cache.set(keys[1], 2)
            cache.get(keys[2])
            cache.peek(keys[3])
            cache.get_or(keys[4], int)
            cache.expires_in(keys[5])
            del cache[keys[6]]

        Key.work = 0
        return lines_run(act), Key.work

    small, large = work(50), work(1000)
    assert large[0] <= small[0] * 2
    assert large[1] <= small[1] * 2
