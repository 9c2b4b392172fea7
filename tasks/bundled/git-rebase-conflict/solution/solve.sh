set -e
folder=$(mktemp -d)
git init -q -b main --bare "$folder"
git -C "$folder" fast-import --quiet < history.fe
git clone -q "$folder" "$folder/work" 2> /dev/null
here=$(pwd)
cd "$folder/work"
git config user.name rebaser && git config user.email rebaser@example.org
git branch -q feature origin/feature
git checkout -q --detach main
set -- $(git rev-list --reverse main..feature)
pick() { git cherry-pick "$1" > /dev/null 2>&1 || true; }
pick "$1"
git checkout -q --theirs . 2> /dev/null || true
git checkout -q main -- settings.py url.py
sed -i 's/"scheme": "http"}/"scheme": "http", "path": "\/"}/' settings.py
sed -i "s/{port}\/\"/{port}{settings['path']}\"/" url.py
git add -A
git -c core.editor=true cherry-pick --continue > /dev/null
pick "$2"
if [ -e .git/CHERRY_PICK_HEAD ]; then
    git checkout -q HEAD -- settings.py
fi
grep -q startswith settings.py || python3 - <<'Y'
from pathlib import Path

path = Path("settings.py")
slash = '    if not settings["path"].startswith("/"):\n        settings["path"] = "/" + settings["path"]\n'
path.write_text(path.read_text().replace("    return settings\n", slash + "    return settings\n"))
Y
if [ -e .git/CHERRY_PICK_HEAD ]; then
    git add -A
    git -c core.editor=true cherry-pick --continue > /dev/null
fi
pick "$3"
git branch -f feature HEAD
git fast-export main feature > "$here/rebased.fe"
