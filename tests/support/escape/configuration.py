"""Attempts by those who choose: the repository's configuration, and the names it suggests."""

from __future__ import annotations

import pytest

from agent.outcomes import UsageProblem
from agent.settings import load, tighten
from sandboxes.protocol import SandboxSpec, SandboxUnavailable
from support.escape.scene import Attempt, Scene
from support.project import bridle, git, make_project
from support.service import Answer, Service, submit

IMAGES = (
    "/",
    "/etc",
    "../../etc",
    "host:/",
    "-v/:/host",
    "--privileged",
    "busybox --privileged",
    "busybox -v /:/host",
    "docker.sock",
    "busybox\n--privileged",
    "http://127.0.0.1/x",
    "",
    "host\0",
)


async def images(scene: Scene) -> None:
    for image in (*IMAGES, f"../containers/{scene.box.name}", f"x/../../containers/{scene.box.name}"):
        with pytest.raises(SandboxUnavailable, match=r"image"):
            await scene.backend().open(SandboxSpec("test-image", image=image))


WIDER = (
    'mounts = ["/:/host"]',
    "privileged = true",
    'network = "full"',
    'allow_hosts = ["example.org"]',
    "image = ['a']",
    'backend = "none"',
    'runtime = "runc"',
    'env = { LD_PRELOAD = "/x" }',
    'cap_add = ["SYS_ADMIN"]',
    'model = "x"',
    'base_url = "http://127.0.0.1/"',
    'host_paths = ["/root"]',
    '[sandbox]\nmounts = ["/"]',
    'image = "host\\u0000x"',
)


async def configuration(scene: Scene) -> None:
    for text in WIDER:
        (scene.folder / "bridle.toml").write_text(text)
        with pytest.raises(UsageProblem):
            tighten(load({}), scene.folder)
    settings = load({})
    (scene.folder / "bridle.toml").write_text(
        'autonomy = "full"\nmax_steps = 1000000\nverify = "true"\nimage = "x"\n'
    )
    after = tighten(settings, scene.folder)
    assert (after.autonomy, after.max_steps, after.network) == (settings.autonomy, settings.max_steps, None)
    assert (after.image, after.verify) == (settings.image, settings.verify)


async def container_files(scene: Scene) -> None:
    """A whole session in a repository full of files that other tools start containers from."""
    canary, wanted = scene.folder / "ran", scene.host_file("wanted")
    run = f'"touch {canary}"'
    container = (
        f'{{"image": "x", "initializeCommand": {run}, "postCreateCommand": {run}, "privileged": true,'
        f' "mounts": ["source=/,target=/hostroot,type=bind"], "runArgs": ["--privileged", "-v/:/hostroot"],'
        f' "workspaceMount": "source=/,target=/workspace,type=bind",'
        f' "containerEnv": {{"A": "${{localEnv:HOME}}"}}}}'
    )
    compose = "services: {x: {image: x, privileged: true, volumes: ['/:/hostroot']}}\n"
    project = make_project(
        scene.folder / "project",
        {
            "a.py": "",
            ".devcontainer/devcontainer.json": container,
            ".devcontainer.json": container,
            "Dockerfile": f"FROM scratch\nRUN touch {canary}\n",
            "docker-compose.yml": compose,
            ".envrc": f"touch {canary}\n",
            ".env": "BRIDLE_NETWORK=full\nBRIDLE_AUTONOMY=full\n",
            "sitecustomize.py": f"open({str(canary)!r}, 'w')\n",
            "conftest.py": f"open({str(canary)!r}, 'w')\n",
        },
    )
    look = f"cat /hostroot{wanted} {wanted}; cut -d' ' -f2 /proc/self/mounts; grep ^Cap /proc/self/status"
    service = Service([Answer(calls=[("shell", {"command": f"{look}; echo looked"})]), submit()])
    try:
        done = bridle(
            "fix",
            "look",
            "-a",
            "full",
            "--verify",
            "true",
            "--backend",
            scene.backend().name,
            "--repo",
            str(project),
            "--model",
            "scripted",
            "--base-url",
            service.url,
            "--json",
            env={"BRIDLE_STATE_DIR": str(scene.folder / "state")},
        )
        seen = str(service.requests[1]["messages"][-1])
    finally:
        service.close()
    assert "looked" in seen, done.err
    assert "CapEff:\\t0000000000000000" in seen
    assert "hostroot" not in seen.replace(f"/hostroot{wanted}", "")
    assert scene.secret not in seen
    assert not canary.exists()
    assert git(project, "status", "--porcelain") == ""


ROWS = (
    Attempt(
        "images",
        "images that are more than a name",
        "Host paths and engine options in place of an image's name",
        "The name is one field of the engine's interface, never part of a command line; bubblewrap takes `host` "
        "only",
        images,
    ),
    Attempt(
        "configuration",
        "`bridle.toml` that widens",
        "Mounts, privileges, network, variables and services in the repository's own configuration",
        "It has a closed list of keys, and limits in it can only tighten (`agent/settings.py`)",
        configuration,
        on=("host",),
    ),
    Attempt(
        "container-files",
        "configuration of other tools",
        "A session in a repository with a `devcontainer.json`, a Dockerfile, compose and `.env` files that mount "
        "the host and run commands",
        "None of them is read",
        container_files,
        seconds=120,
    ),
)
