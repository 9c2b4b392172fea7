"""What of the world outside a task may use, which only the person who runs it decides.

Threat model: a task's author may ask for a network, for a network while its image is built, and for variables of
this machine (`${NAME}` in an `env` table), which may be keys. Without a word from the user none of it is given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem

_REFERENCE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Allowed(BaseModel):
    """What the user allows: networks that tasks ask for, a network for builds, variables by name."""

    model_config = ConfigDict(frozen=True)

    network: bool = False
    build_network: bool = False
    variables: tuple[str, ...] = ()

    def filled(
        self, where: str, table: Mapping[str, str], environ: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """An `env` table with each `${NAME}` and `${NAME:-default}` replaced. `where` names it for people.

        Raises UsageProblem for a variable without a default that is not allowed or not there.
        """
        known = os.environ if environ is None else environ

        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            if name in self.variables and name in known:
                return known[name]
            if default is not None:
                return default
            missing = "is not set here" if name in self.variables else "was not allowed"
            raise UsageProblem(
                f"{where} asks for the variable {name} of this machine, which {missing}: give --task-env {name}"
            )

        return {name: _REFERENCE.sub(value, text) for name, text in table.items()}
