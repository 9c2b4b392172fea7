"""The texts of an event, made fit to be kept: without the values of secrets, and what UTF-8 can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandboxes.secrets import Secrets

Fields = dict[str, Any]


def masked(said: Fields, secrets: Secrets, fits: Callable[[Fields], bool]) -> Fields | None:
    """The fields of an event without the values of secrets in their texts; None where there are none.

    `fits` says whether fields are still an event: a value that is also one of this program's own words
    ("interrupted") tells nothing where that stands, and stays there.
    """
    new = {name: secrets.mask_all(value) for name, value in said.items()}
    changed = {name: value for name, value in new.items() if name != "type" and value != _listed(said[name])}
    if not changed:
        return None
    if fits({**said, **changed}):
        return {**said, **changed}
    for name, value in changed.items():
        if fits({**said, name: value}):
            said = {**said, name: value}
    return said


def _listed(value: Any) -> Any:
    """The value with lists in the place of tuples."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return value


def without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
