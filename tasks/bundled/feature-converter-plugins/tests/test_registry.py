import pytest

try:
    from convert.registry import Conflict, Registry
except ImportError:  # the other files can be run all the same
    Conflict = Registry = None


def made():
    registry = Registry()
    registry.converter("upper", aliases=["up", "loud"])(str.upper)
    return registry


def test_names_aliases_and_the_function_itself():
    registry = Registry()

    @registry.converter("twice", aliases=("double",))
    def twice(text):
        return text * 2

    assert twice("a") == "aa"
    assert registry.names() == ["double", "twice"]
    assert registry.convert("double", "x") == "xx"
    assert Registry().names() == []


def test_bad_names():
    for name, aliases in (("Upper", ()), ("", ()), ("9a", ()), ("a_b", ()), ("ok", ["no space"]), ("a\n", ())):
        registry = Registry()
        with pytest.raises(ValueError):
            registry.converter(name, aliases=aliases)(str.lower)
        assert registry.names() == []
    Registry().converter("a-9-b")(str.lower)


def test_a_conflict_leaves_nothing():
    registry = made()
    assert issubclass(Conflict, ValueError)
    for name, aliases in (("upper", ["new"]), ("new", ["loud"])):
        with pytest.raises(Conflict):
            registry.converter(name, aliases=aliases)(str.lower)
        assert registry.names() == ["loud", "up", "upper"]
        assert registry.convert("loud", "a") == "A"


def test_the_higher_priority_wins_and_the_loser_keeps_the_rest():
    registry = made()
    registry.converter("loud", aliases=["shout"], priority=5)(lambda text: text + "!")
    assert registry.convert("loud", "a") == "a!"
    assert registry.convert("shout", "a") == "a!"
    assert registry.convert("upper", "a") == "A"
    registry.converter("loud", aliases=["meek"], priority=1)(str.lower)
    assert registry.convert("loud", "a") == "a!"
    assert registry.convert("meek", "A") == "a"
    assert registry.names() == ["loud", "meek", "shout", "up", "upper"]


def test_a_conflict_on_a_later_name_does_not_take_an_earlier_one():
    registry = Registry()
    registry.converter("low", priority=1)(str.lower)
    registry.converter("high", priority=2)(str.upper)
    with pytest.raises(Conflict):
        registry.converter("low", aliases=["high"], priority=2)(str.title)
    assert registry.convert("low", "Ab") == "ab"


def message(registry, name):
    with pytest.raises(LookupError) as caught:
        registry.convert(name, "x")
    return caught.value.args[0]


def test_unknown_names():
    registry = made()
    assert message(registry, "nothing") == "no converter 'nothing'"
    assert message(registry, "uper") == "no converter 'uper' (did you mean 'upper'?)"
    assert message(registry, "upperr") == "no converter 'upperr' (did you mean 'upper'?)"
    assert message(registry, "lord") == "no converter 'lord' (did you mean 'loud'?)"
    assert message(registry, "ulod") == "no converter 'ulod'"
    assert message(registry, "puper") == "no converter 'puper'"
    registry.converter("us")(str.lower)
    assert message(registry, "ut") == "no converter 'ut' (did you mean 'up'?)"
