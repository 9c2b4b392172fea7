from price_parser import Price
from price_parser.parser import extract_price_text, get_decimal_separator


def told(text, **more):
    price = Price.fromstring(text, **more)
    return f"{price.amount_text} {price.amount}"


def test_a_point_before_the_first_digit():
    assert [told(text) for text in ("$.75", ".42 \u20ac", "$..86", "$.75,333", "$.750.30")] == [
        ".75 0.75", ".42 0.42", ".86 0.86", ".75,333 75333", "750.30 750.30",
    ]
    assert told("$..75,333", decimal_separator=".") == ".75,333 0.75333"
    assert told("$..75,333", decimal_separator=",") == ".75,333 75.333"


def test_spaces_between_groups():
    assert [told("$1\u00a0298,00"), told("$3  407,25")] == ["1 298,00 1298.00", "3 407,25 3407.25"]


def test_parts():
    assert [extract_price_text("$.75"), extract_price_text("$1\u00a0298,00"), get_decimal_separator(".75")] == [
        ".75", "1 298,00", ".",
    ]
