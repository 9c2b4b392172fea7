set -e
folder=$(mktemp -d)
git init -q -b main "$folder"
git -C "$folder" fast-import --quiet < history.fe
here=$(pwd)
cd "$folder"
git checkout -q main
cat > .git/try.sh <<'Y'
python3 -B -c 'import ast; ast.parse(open("slug.py").read())' 2> /dev/null || exit 125
test "$(python3 -B -c 'from slug import slug; print(slug("tea --- time"))')" = tea-time
Y
first=$(git rev-list main | tail -1)
git bisect start main "$first" > /dev/null
git bisect run sh .git/try.sh > /dev/null
culprit=$(git rev-parse refs/bisect/bad)
git bisect reset > /dev/null 2>&1
git checkout -q main
git -c user.name=fixer -c user.email=fixer@example.org revert --no-edit "$culprit" > /dev/null 2>&1 || true
git checkout -q HEAD -- .
python3 - <<'Y'
from pathlib import Path

path = Path("slug.py")
text = path.read_text()
text = text.replace('    text = re.sub(r"[^a-z0-9]", "-", text)\n    text = text.replace("--", "-")\n', '    text = re.sub(r"[^a-z0-9]+", "-", text)\n')
path.write_text(text)
path = Path("NOTES.md")
path.write_text(path.read_text().replace("simple is better\n", ""))
Y
git add -A
printf 'Revert "%s"\n\nThis reverts commit %s.\n' "$(git log -1 --format=%s "$culprit")" "$culprit" > .git/message
git -c user.name=fixer -c user.email=fixer@example.org commit -q -F .git/message
git fast-export main > "$here/fixed.fe"
echo "$culprit" > "$here/culprit.txt"
