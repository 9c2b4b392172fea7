"""What of the host an agent's sandbox does not show, although it lies in the toolchain.

Where tasks are installed with Bridle, their solutions lie among the packages of a Python that sandboxes see. So do
installed copies of the library that a task is about, perhaps with the bug mended. Neither is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path, user_data_path, user_state_path

from sandboxes.protocol import Backend, Check, Checkpoint, Reaped, Sandbox, SandboxSpec

NEEDED = frozenset(
    {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli"}
)
"""Without an installed copy of these there are no tests."""
_BUNDLED = Path(__file__).parents[1] / "bundled"


def hidden_folders(task: Path, keeper: Path) -> tuple[str, ...]:
    """Where solutions, caches of them and other attempts may lie."""
    own = [make("bridle") for make in (user_cache_path, user_data_path, user_state_path)]
    return tuple(str(path) for path in (task.parent, _BUNDLED, keeper.parent, *own))


def own_packages(paths: Iterable[str]) -> frozenset[str]:
    """The Python packages and modules that a workspace's files make up, at its root or below src/."""
    found = set()
    for path in paths:
        top, _, rest = path.removeprefix("src/").partition("/")
        if rest == "__init__.py":
            found.add(top)
        elif not rest and top.endswith(".py"):
            found.add(top.removesuffix(".py"))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Hiding:
    """A backend whose sandboxes hide what `like` does, may use as much, have its variables, and are saved by whom
    its are.

    See `Backend` in the protocol.
    """

    backend: Backend
    like: SandboxSpec

    @property
    def name(self) -> str:
        return self.backend.name

    @property
    def incremental(self) -> bool:
        return self.backend.incremental

    async def open(self, spec: SandboxSpec) -> Sandbox:
        like = self.like
        return await self.backend.open(
            replace(
                spec,
                hidden=like.hidden,
                hidden_packages=like.hidden_packages,
                limits=like.limits,
                env={**like.env, **spec.env},
                keeper=like.keeper,
            )
        )

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        return await self.backend.checkpoints(run_prefix)

    async def drop(self, checkpoint: Checkpoint) -> None:
        await self.backend.drop(checkpoint)

    async def check(self) -> list[Check]:
        return await self.backend.check()

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        return await self.backend.reap(save_to, keeper=keeper, wanted=wanted, dry_run=dry_run)
