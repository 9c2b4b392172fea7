from titles import title_case


def test_the_last_word():
    assert title_case("what we live for and stand in") == "What We Live For and Stand In"
    assert title_case("something to hold on to") == "Something to Hold On To"


def test_the_first_word():
    assert title_case("the old man and the sea") == "The Old Man and the Sea"


def test_one_word():
    assert title_case("of") == "Of"


def test_two_small_words():
    assert title_case("and the") == "And The"


def test_nothing():
    assert title_case("   ") == ""
