from pages import parse


def test_single_pages():
    assert parse("4, 7") == [4, 7]


def test_a_range():
    assert parse("1-3,5") == [1, 2, 3, 5]
