"""The texts that the model is given, as templates."""

from __future__ import annotations

from typing import Any


def render(template: str, **values: Any) -> str:
    """The text of a template of this folder. Values are text for a model: nothing is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 -- plain text, not HTML
        loader=PackageLoader("agent.context", "prompts"), undefined=StrictUndefined, keep_trailing_newline=False
    )
    return environment.get_template(template).render(**values).strip()
