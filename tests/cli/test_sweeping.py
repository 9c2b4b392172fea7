"""What a command on sessions begins with: half-written files of the dead go, without asking an engine."""

from __future__ import annotations

from pathlib import Path

from support.project import bridle


def test_looking_at_sessions_removes_what_the_dead_left_half_written(own_state: Path) -> None:
    folder = own_state / "sessions" / "20260101-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text("{}\n")
    half = folder / "workspace.tar.part"
    half.touch()
    assert bridle("sessions", "--help").code == 0
    assert bridle("doctor", "--help").code == 0
    assert half.exists()
    bridle("sessions", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert not half.exists()
