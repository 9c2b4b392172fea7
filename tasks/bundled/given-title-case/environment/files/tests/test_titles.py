from titles import title_case


def test_the_last_word():
    assert title_case("what we live for and stand in") == "What We Live For and Stand In"


def test_the_first_word():
    assert title_case("the old man and the sea") == "The Old Man and the Sea"
