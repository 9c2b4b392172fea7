import math

import pytest
from shapes import area, name, outline

CIRCLE = {"kind": "circle", "r": 2}
RECT = {"kind": "rect", "w": 2, "h": 3.5}
SQUARE = {"kind": "square", "w": 3}
GROUP = {"kind": "group", "parts": [RECT, {"kind": "group", "parts": [SQUARE, CIRCLE]}]}
EMPTY = {"kind": "group", "parts": []}


def test_areas():
    assert [area(shape) for shape in (RECT, SQUARE, EMPTY)] == [7.0, 9, 0]
    assert math.isclose(area(CIRCLE), 4 * math.pi)
    assert math.isclose(area(GROUP), 16 + 4 * math.pi)


def test_outlines():
    assert [outline(shape) for shape in (RECT, SQUARE)] == [11.0, 12]
    assert math.isclose(outline(CIRCLE), 4 * math.pi)
    with pytest.raises(ValueError, match="^a group has no outline$"):
        outline(GROUP)


def test_names():
    assert name(GROUP) == "rectangle of 2 by 3.5, square of 3, circle of radius 2"
    assert name(EMPTY) == "nothing"
    assert name({"kind": "rect", "w": 4, "h": 4.0}) == "square of 4"


def test_what_is_raised():
    for function in (area, outline, name):
        with pytest.raises(ValueError, match="^no kind 'hexagon'$"):
            function({"kind": "hexagon"})
        with pytest.raises(KeyError):
            function({})
        with pytest.raises(KeyError):
            function({"kind": "rect", "w": 1})
    with pytest.raises(ValueError, match="^no kind 'x'$"):
        area({"kind": "group", "parts": [{"kind": "x"}]})
