"""Rollouts written to disk: a file of JSON lines, or for ATIF a folder of documents. Whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from tasks.training.formats import FORMATS, Format
from tasks.training.rollouts import Rollout


class Written(BaseModel):
    """What was written, and what was left out or lacks something."""

    model_config = ConfigDict(frozen=True)

    written: int
    scored: int
    without_conversation: int
    without_tools: int


def export_rollouts(rollouts: Sequence[Rollout], format_: Format, out: Path) -> Written:
    """Write `rollouts` to `out`, which must not be there. Raises UsageProblem, OSError."""
    if out.exists():
        raise UsageProblem(f"{out} is there already; name another --out")
    usable = [each for each in rollouts if each.messages or (format_ == "atif" and each.alone)]
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        if format_ == "atif":
            for each in usable:
                (part / _name(each)).write_text(_line(each, format_))
            part.chmod(0o755)
            part.rename(out)
        else:
            lines = part / "lines"
            with lines.open("w", encoding="utf-8") as file:
                file.writelines(_line(each, format_) for each in usable)
            lines.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Written(
        written=len(usable),
        scored=sum(each.reward is not None for each in usable),
        without_conversation=len(rollouts) - len(usable),
        without_tools=sum(each.tools is None and bool(each.turns) for each in usable),
    )


def _line(rollout: Rollout, format_: Format) -> str:
    return json.dumps(FORMATS[format_](rollout), ensure_ascii=False, allow_nan=False) + "\n"


def _name(rollout: Rollout) -> str:
    return re.sub(r"[^\w.-]", "_", f"{rollout.task}.{rollout.number}.{rollout.group}") + ".json"
