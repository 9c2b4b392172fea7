from roman import to_roman


def test_sums():
    assert to_roman(1666) == "MDCLXVI"


def test_differences():
    assert [to_roman(n) for n in (4, 9, 40, 944)] == ["IV", "IX", "XL", "CMXLIV"]
