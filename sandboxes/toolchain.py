"""Which folders of the host make up the user's toolchain, and the PATH that finds it inside a sandbox.

Threat model: what is found here is mounted, read-only, where the agent can read it. So it is never a home folder,
a folder above one, or one where secrets are kept; a folder beside a `bin` on PATH is only taken when it is
recognisably an installation. A virtual environment may come from the repository: where its links and its
`pyvenv.cfg` point is checked like everything else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandboxes.protocol import WORKSPACE, SandboxUnavailable

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
NEVER = tuple(Path(p) for p in ("/proc", "/sys", "/dev", "/run", "/var", "/etc", "/boot", "/snap", WORKSPACE))
SECRET = frozenset(
    {".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", ".password-store", ".mozilla", "Library"}
)
INSTALLATION = (
    "pyvenv.cfg",
    "conda-meta",
    "lib/python[23]*",
    "lib/node_modules",
    "lib/rustlib",
    "lib/ruby",
    "lib/modules",
    "pkg/tool",
)
SITES = (
    "lib/python3*/site-packages",
    "lib/python3*/dist-packages",
    "local/lib/python3*/site-packages",
    "local/lib/python3*/dist-packages",
)
"""Where an installation keeps Python packages."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`mounts` are folders shown read-only at their own paths; `path` is PATH inside, best first.

    `pythons` are interpreters to try for the runner; `virtual_env` is the active virtual environment, if any.
    """

    mounts: tuple[Path, ...]
    path: tuple[str, ...]
    pythons: tuple[str, ...]
    virtual_env: Path | None = None


def find_toolchain(
    environ: Mapping[str, str], host_paths: Sequence[Path] = (), home: Path | None = None
) -> Toolchain:
    """What the user's shell would run, made of safe folders only.

    Raises SandboxUnavailable when one of `host_paths` (extra installations, first on PATH) is not safe to show.
    """
    home = home or Path.home()
    mounts: list[Path] = []
    path: list[str] = []
    for prefix in host_paths:
        if not _mount(prefix, home, mounts):
            raise SandboxUnavailable(f"{prefix} cannot be shown in a sandbox: it is missing or may hold secrets.")
        _add_environment_base(prefix, home, mounts)
        path.append(str(prefix / "bin"))
    active = Path(environ["VIRTUAL_ENV"]) if environ.get("VIRTUAL_ENV") else None
    folders = [str(active / "bin")] if active else []
    for folder in folders + environ.get("PATH", "").split(os.pathsep):
        real = _without_shims(Path(folder), environ, home)
        path += [str(place) for place in real if _take_folder(place, home, mounts)]
    own = Path(sys.base_prefix)
    _mount(own, home, mounts)
    if not any((Path(folder) / "python3").exists() for folder in path):
        path.append(str(own / "bin"))
    path += [folder for folder in SYSTEM_PATH if Path(folder).is_dir()]
    python = own / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    shown = host_paths[0] if host_paths and (host_paths[0] / "pyvenv.cfg").is_file() else active
    if shown is not None and str(shown / "bin") not in path:
        shown = None
    return Toolchain(_outermost(mounts), tuple(dict.fromkeys(path)), (str(python), "python3"), shown)


def covered(mounts: Sequence[Path], hidden: Sequence[str], packages: Sequence[str]) -> list[Path]:
    """Where inside the mounts something is to be shown empty: whatever name a mount has, and what is there."""
    found = [Path(path) for path in hidden if Path(path).exists()]
    if packages:
        sites = [site for mount in mounts for pattern in SITES for site in mount.glob(pattern)]
        names = [name for package in packages for name in (package, f"{package}.py")]
        found += [site / name for site in sites for name in names if (site / name).exists()]
    places: dict[Path, None] = {}
    for real in (Path(os.path.realpath(each)) for each in found):
        for mount in mounts:
            below = Path(os.path.realpath(mount))
            if real != below and _below(real, below):
                places[mount / real.relative_to(below)] = None
    return [place for place in places if not any(place != other and _below(place, other) for other in places)]


def _take_folder(folder: Path, home: Path, mounts: list[Path]) -> bool:
    """Make a folder of PATH available: as it is, or with the installation it belongs to."""
    if not folder.is_absolute() or not folder.is_dir():
        return False
    if _below(folder, Path("/usr")) or str(folder) in SYSTEM_PATH:
        return True
    prefix = folder.parent
    if folder.name in ("bin", "sbin", "condabin") and is_installation(prefix) and _mount(prefix, home, mounts):
        _add_environment_base(prefix, home, mounts)
        return True
    return _mount(folder, home, mounts)


def _without_shims(folder: Path, environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """What a folder of shims (pyenv, rustup) stands for: the real installations behind it."""
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    if folder == pyenv / "shims":
        yield from (pyenv / "versions" / version / "bin" for version in _pyenv_versions(pyenv, environ))
    elif folder.name == "shims" or folder == pyenv / "bin":
        return
    elif (folder / "rustup").exists():
        rustup = Path(environ.get("RUSTUP_HOME") or home / ".rustup")
        chosen = environ.get("RUSTUP_TOOLCHAIN") or _rustup_default(rustup)
        if chosen and (rustup / "toolchains" / chosen).is_dir():
            yield rustup / "toolchains" / chosen / "bin"
        yield folder
    else:
        yield folder


def _pyenv_versions(root: Path, environ: Mapping[str, str]) -> list[str]:
    """The versions pyenv would use here, best first."""
    if environ.get("PYENV_VERSION"):
        names = environ["PYENV_VERSION"].split(":")
    else:
        here = Path(environ.get("PWD") or ".").absolute()
        files = [folder / ".python-version" for folder in (here, *here.parents)] + [root / "version"]
        found = next((f for f in files if f.is_file()), None)
        names = found.read_text("utf-8", "replace").split() if found else []
    installed = {p.name for p in (root / "versions").glob("*")}
    exact = [name if name in installed else _newest(name, installed) for name in names]
    return [name for name in exact if name]


def _newest(wanted: str, installed: set[str]) -> str | None:
    """`3.11` means the newest installed 3.11.x."""
    matching = [name for name in installed if name.startswith(wanted + ".")]
    return max(matching, key=lambda n: [int(p) if p.isdigit() else -1 for p in n.split(".")], default=None)


def _rustup_default(rustup: Path) -> str | None:
    try:
        lines = (rustup / "settings.toml").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    names = [line.partition("=")[2].strip().strip('"') for line in lines if line.startswith("default_toolchain")]
    return names[0] if names and "/" not in names[0] else None


def _add_environment_base(prefix: Path, home: Path, mounts: list[Path]) -> None:
    """The installation a virtual environment is made from: without it, its Python does not start."""
    bases = []
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home" and value.strip():
            bases.append(Path(value.strip()).parent)
    link = prefix / "bin" / "python3"
    for _ in range(10):
        if not link.is_symlink():
            break
        link = link.parent / link.readlink()
        bases.append(Path(os.path.normpath(link.parent.parent)))
    for base in bases:
        if next(base.glob("lib/python3*"), None) and next(base.glob("bin/python3*"), None):
            _mount(base, home, mounts)


def is_installation(prefix: Path) -> bool:
    """Does a folder look like an installed toolchain rather than somebody's files?"""
    return any(next(prefix.glob(pattern), None) is not None for pattern in INSTALLATION)


def is_safe(folder: Path, home: Path) -> bool:
    """May this folder, and all below it, be shown to the agent?"""
    places = (folder, Path(os.path.realpath(folder)))
    homes = (home, Path(os.path.realpath(home)))
    return all(_is_safe_place(place, h) for place in places for h in homes)


def _is_safe_place(place: Path, home: Path) -> bool:
    if not place.is_absolute() or ".." in place.parts or _below(home, place) or len(place.parts) < 2:
        return False
    if any(_below(place, never) or _below(never, place) for never in NEVER):
        return False
    if place.parent == Path("/") and place.name in ("home", "root", "mnt", "media", "srv", "Users"):
        return False
    if not _below(place, home):
        return not SECRET.intersection(place.parts)
    inside = place.relative_to(home).parts
    hidden_whole = len(inside) == 1 and inside[0].startswith(".") and not (place / "pyvenv.cfg").is_file()
    return not hidden_whole and not SECRET.intersection(inside)


def _mount(folder: Path, home: Path, mounts: list[Path]) -> bool:
    """Add a folder, under its own name and its real one, when it is safe; say whether it can be seen inside."""
    if not folder.is_absolute() or not folder.is_dir() or not is_safe(folder, home):
        return False
    places = (folder, Path(os.path.realpath(folder)))
    mounts += [place for place in places if not _below(place, Path("/usr"))]
    return True


def _outermost(mounts: Sequence[Path]) -> tuple[Path, ...]:
    kept = dict.fromkeys(mounts)
    return tuple(m for m in kept if not any(m != other and _below(m, other) for other in kept))


def _below(place: Path, top: Path) -> bool:
    return place == top or top in place.parents
