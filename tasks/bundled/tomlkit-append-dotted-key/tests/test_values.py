import tomlkit


def test_a_header_for_a_table_that_had_none():
    doc = tomlkit.parse("[a.b]\nvalue = 5\n")
    doc["a"].append(tomlkit.key(["c", "d"]), "foo")
    doc["a"].append(tomlkit.key(["e", "f"]), 17)
    assert tomlkit.parse(doc.as_string()).unwrap() == {"a": {"c": {"d": "foo"}, "e": {"f": 17}, "b": {"value": 5}}}
