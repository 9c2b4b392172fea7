from slugs import slugify


def test_words():
    assert slugify("Hello world") == "hello-world"


def test_the_end():
    assert slugify("Hello, world!") == "hello-world"
