import pytest

from pieces import split


@pytest.mark.parametrize("text", ["a,b", "x y,[z]::w", "Ü,\\"])
def test_two(text, mark):
    assert len(split(text, mark)) == 2


class TestJoin:
    def test_back(self, mark):
        assert mark.join(split("a,b", mark)) == "a,b"
