from cachetools.keys import methodkey, typedmethodkey


def test_a_keyword_that_is_called_self():
    keys = [methodkey("x", self=1), methodkey("y", self=1), methodkey("x", 3, self=1), methodkey("x"), methodkey("z", self=2)]
    assert [keys.index(each) for each in keys] == [0, 0, 2, 3, 4]


def test_with_its_type():
    made = [typedmethodkey("x", self=value) for value in (1, 1.0, True, 1, 2)]
    assert [made.index(each) for each in made] == [0, 1, 2, 0, 4]
