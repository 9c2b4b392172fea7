from dataclasses import dataclass

from itemadapter import ItemAdapter


@dataclass
class Parent:
    foo: str
    """What foo is."""
    bar: int
    """How many."""


@dataclass
class Child(Parent):
    baz: str
    """The last one."""


@dataclass
class Grandchild(Child):
    bar: int
    """How many there are now."""


def descriptions(item):
    properties = ItemAdapter.get_json_schema(item)["properties"]
    return {name: properties[name].get("description", "none") for name in sorted(properties)}


def test_descriptions_of_parents():
    assert descriptions(Child) == {"bar": "How many.", "baz": "The last one.", "foo": "What foo is."}


def test_the_nearest_description():
    assert descriptions(Grandchild) == {"bar": "How many there are now.", "baz": "The last one.", "foo": "What foo is."}
