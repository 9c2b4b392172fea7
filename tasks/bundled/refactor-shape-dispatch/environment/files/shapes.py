"""Areas, outlines and names of shapes, which are dicts with a `kind`."""

import math


def area(shape):
    if shape["kind"] == "circle":
        return math.pi * shape["r"] ** 2
    elif shape["kind"] == "rect":
        return shape["w"] * shape["h"]
    elif shape["kind"] == "square":
        return shape["w"] ** 2
    elif shape["kind"] == "group":
        total = 0
        for part in shape["parts"]:
            total += area(part)
        return total
    else:
        raise ValueError(f"no kind {shape['kind']!r}")


def outline(shape):
    if shape["kind"] == "circle":
        return 2 * math.pi * shape["r"]
    elif shape["kind"] == "rect":
        return 2 * (shape["w"] + shape["h"])
    elif shape["kind"] == "square":
        return 4 * shape["w"]
    elif shape["kind"] == "group":
        raise ValueError("a group has no outline")
    else:
        raise ValueError(f"no kind {shape['kind']!r}")


def name(shape):
    if shape["kind"] == "circle":
        return "circle of radius %g" % shape["r"]
    elif shape["kind"] == "rect":
        if shape["w"] == shape["h"]:
            return name({"kind": "square", "w": shape["w"]})
        return "rectangle of %g by %g" % (shape["w"], shape["h"])
    elif shape["kind"] == "square":
        return "square of %g" % shape["w"]
    elif shape["kind"] == "group":
        return ", ".join(name(part) for part in shape["parts"]) or "nothing"
    else:
        raise ValueError(f"no kind {shape['kind']!r}")
