"""From the name of a model to the model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from agent.models.profiles import LOCAL, REPLAY
from agent.models.protocol import Model
from agent.outcomes import UsageProblem
from agent.settings import load

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-5-mini"
"""What is asked when there is a key and no name."""


def default_model_name() -> str:
    """The model when the command line names none: the settings', else OPENAI_MODEL with a key, else `local`.

    Raises UsageProblem when the settings are wrong.
    """
    return load({}).model or (OPENAI_MODEL if os.environ.get("OPENAI_API_KEY") else LOCAL)


def make_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> Model:
    """The model called `name`: `local`, `replay:FILE`, or what the service at `base_url` knows by that name.

    The address and the key come from OPENAI_BASE_URL and OPENAI_API_KEY when not given. Nothing is started and
    nobody is asked yet. Raises UsageProblem.
    """
    if name == LOCAL:
        return _local(on_retry)
    if name.startswith(REPLAY):
        return _replay(Path(name.removeprefix(REPLAY)))
    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    if not _is_address(base_url):
        raise UsageProblem(f"{base_url!r} is no base URL of a model service: give one like {OPENAI_URL}")
    api_key = api_key or os.environ.get("OPENAI_API_KEY")
    if not api_key:
        if base_url == OPENAI_URL:
            raise UsageProblem(f"no key for model {name!r}: set OPENAI_API_KEY, or use --model local")
        api_key = "none"  # services of one's own mostly want none, but the header needs something
    from agent.models.chat import ChatModel

    return ChatModel(name, base_url, api_key, on_retry=on_retry)


def _is_address(url: str) -> bool:
    try:
        address = urlsplit(url)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _local(on_retry: Callable[[str], None] | None) -> Model:
    from agent.models.embedded import missing
    from agent.models.local import LocalModel

    if problem := missing():
        raise UsageProblem(problem)
    return LocalModel(on_retry=on_retry)


def _replay(path: Path) -> Model:
    from agent.journal import JournalDamaged
    from agent.models.replay import ReplayModel

    try:
        return ReplayModel(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"no recording can be read at {path}: give replay:FILE a journal") from error
    except JournalDamaged as error:
        raise UsageProblem(str(error)) from error
