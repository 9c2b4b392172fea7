from slugs import slugify, unique


def test_words():
    assert slugify("Hello world") == "hello-world"


def test_both_ends():
    assert slugify("  -- Hello, world! -- ") == "hello-world"


def test_accents():
    assert slugify("Café Ångström à la carte") == "cafe-angstrom-a-la-carte"


def test_unique():
    assert unique(["a b", "c", "a b", "a b"]) == ["a-b", "c", "a-b-2", "a-b-3"]
