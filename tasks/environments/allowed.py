"""What of the world outside a task may use, which only the person who runs it decides.

Threat model: a task's author may ask for a network, for a network while its image is built, and for variables of
this machine (`${NAME}` in an `env` table), which may be keys. Without a word from the user none of it is given.
A variable that is given is there for every command in the task's sandboxes, a session's and its tests' too. Its
value is kept out of what is recorded and what a session's model is told; not out of files that an agent writes it
into, and not out of what an agent with a loop of its own tells its model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from sandboxes.secrets import MIN_LENGTH, Secrets

_REFERENCE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Allowed(BaseModel):
    """What the user allows: networks that tasks ask for, a network for builds, variables by name."""

    model_config = ConfigDict(frozen=True)

    network: bool = False
    build_network: bool = False
    variables: tuple[str, ...] = ()

    def secrets(self, environ: Mapping[str, str] | None = None) -> Secrets:
        """The values that may be in sandboxes, to be masked in whatever comes from there.

        One that is too short is found in texts that have nothing to do with it, so it stays. Raises UsageProblem.
        """
        known = os.environ if environ is None else environ
        values = {name: known[name] for name in self.variables if len(known.get(name, "")) >= MIN_LENGTH}
        for name, value in values.items():
            try:
                Secrets({name: value})
            except ValueError as error:
                raise UsageProblem(f"--task-env {name}: {error}") from error
        return Secrets(values)

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
