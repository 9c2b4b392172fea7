"""The commands that have a function of their own, by the name that the table gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tools.commands import files, git, hosts, scripts, shells, wrappers
from tools.commands.call import Call
from tools.commands.table import Row

SPECIAL: Mapping[str, Callable[[Call, Row], None]] = {
    "alias": shells.alias,
    "awk": scripts.awk,
    "build": scripts.build,
    "cd": shells.change_folder,
    "code": scripts.code,
    "command": shells.describe,
    "copy": files.copy,
    "curl": hosts.curl,
    "dd": files.dd,
    "editor": files.editor,
    "env": wrappers.environment,
    "eval": shells.evaluate,
    "fd": wrappers.fd,
    "find": wrappers.find,
    "getent": hosts.name_service,
    "git": git.git,
    "git-branch": git.branch,
    "git-checkout": git.checkout,
    "git-clean": git.clean,
    "git-config": git.config,
    "git-inner": git.inner,
    "git-log": git.log,
    "git-remote": git.other_repository,
    "git-restore": git.restore,
    "git-rm": git.remove,
    "let": shells.let,
    "line": wrappers.line,
    "link": files.link,
    "mode": files.mode,
    "names": shells.names,
    "npx": hosts.fetch_and_run,
    "offline": hosts.offline,
    "parallel": wrappers.parallel,
    "pushd": shells.push_folder,
    "rest": wrappers.rest,
    "rsync": files.rsync,
    "sed": scripts.sed,
    "set": shells.settings,
    "shell": shells.shell,
    "source": shells.source,
    "squeeze": files.squeeze,
    "sudo": wrappers.as_other_user,
    "tar": files.tar,
    "test": shells.test,
    "trap": shells.trap,
    "unzip": files.unzip,
    "watch": wrappers.watch,
    "wrap": wrappers.wrap,
    "xargs": wrappers.xargs,
}
