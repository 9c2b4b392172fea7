"""What every kind of sandbox is closed to, looked at from inside."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest
from conformance.kinds import Kind

from sandboxes.protocol import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
Open = Callable[..., Awaitable[Sandbox]]


async def text(box: Sandbox, script: str) -> str:
    return (await box.exec(["sh", "-c", script], max_output=1 << 20)).output.text()


async def test_an_ordinary_user_without_capabilities(box: Sandbox) -> None:
    assert (await text(box, "id -u; id -g; id -G")).split() == ["1000", "1000", "1000"]
    status = await text(box, "cat /proc/self/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (facts["Uid"], facts["Gid"]) == ("\t".join(["1000"] * 4), "\t".join(["1000"] * 4))
    assert facts["Groups"].strip() in ("", "1000")
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


async def test_no_network_but_its_own_loopback(box: Sandbox) -> None:
    interfaces = await text(box, "cat /proc/net/dev")
    assert [line.split(":")[0].strip() for line in interfaces.splitlines()[2:]] == ["lo"]
    assert (await text(box, "cat /proc/net/route")).count("\n") <= 1


async def test_nothing_of_the_host_can_be_written(box: Sandbox, kind: Kind) -> None:
    mounts = [line.split() for line in (await text(box, "cat /proc/self/mounts")).splitlines()]
    own = ("/", "/proc", "/dev", "/sys", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", *kind.scratch)
    for _, place, kind, options, *_ in mounts:
        if place not in own and not place.startswith(("/proc/", "/dev/", "/sys/")):
            assert "ro" in options.split(","), place
            assert kind != "overlay"
    for place in ("/etc", "/usr", "/bin", "/root"):
        assert "denied" in (await text(box, f"touch {place}/x 2>&1; touch {place}/x 2>&1 || echo denied"))


async def test_no_variable_of_the_host_comes_in(fresh: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "swordfish")
    monkeypatch.setenv("HTTP_PROXY", "http://user:swordfish@127.0.0.1:1")
    box = await fresh(env={"ASKED_FOR": "yes"})
    names = {line.split("=")[0] for line in (await text(box, "env")).splitlines()}
    assert "ASKED_FOR" in names
    assert not names & (
        {*os.environ}
        - {
            "PATH",
            "HOME",
            "USER",
            "LANG",
            "TERM",
            "PWD",
            "SHLVL",
            "HOSTNAME",
            "_",
            "PAGER",
            "GIT_PAGER",
            "PIP_NO_INPUT",
            "PIP_DISABLE_PIP_VERSION_CHECK",
            "PYTHONDONTWRITEBYTECODE",
            "NO_COLOR",
            "GIT_TERMINAL_PROMPT",
            "OLDPWD",
            "GIT_OPTIONAL_LOCKS",
        }
    )
    assert "swordfish" not in await text(box, "env; cat /proc/1/environ 2>/dev/null")
