import operator

from semver import Version

OTHERS = [(1, 2, 3, 4, 5, 6), (-1, 2), {"major": 1, "wrong": 2}, [1, "x", {}], (1, 2, 3)]


def test_whether_they_are_equal():
    version = Version(1, 2, 3)
    assert [place for place, other in enumerate(OTHERS) if version == other] == [4]
    assert [place for place, other in enumerate(OTHERS) if version != other] == [0, 1, 2, 3]


def test_that_they_have_no_order():
    def said(compare, other):
        try:
            return str(compare(Version(1, 2, 3), other))
        except TypeError as error:
            return str(error)

    assert [said(operator.lt, (1, 2, 3, 4, 5, 6)), said(operator.ge, [-1, 2]), said(operator.gt, (1, 2, 2))] == [
        "'<' not supported between instances of 'Version' and 'tuple'",
        "'>=' not supported between instances of 'Version' and 'list'",
        "True",
    ]
