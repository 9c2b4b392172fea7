# the first commit does the work of the second, which is empty
sh "$BRIDLE_SOLUTION"
folder=$(mktemp -d)
git init -q -b main --bare "$folder"
git -C "$folder" fast-import --quiet < rebased.fe
parent=$(git -C "$folder" rev-parse main)
export GIT_AUTHOR_NAME=linus GIT_AUTHOR_EMAIL=linus@example.org GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x
for pair in feature~2:feature~1 feature~1:feature~1 feature:feature; do
    GIT_AUTHOR_DATE=$(git -C "$folder" log -1 --format='%at +0000' "${pair%:*}")
    export GIT_AUTHOR_DATE
    parent=$(git -C "$folder" commit-tree -p "$parent" -m "$(git -C "$folder" log -1 --format=%s "${pair%:*}")" "${pair#*:}^{tree}")
done
git -C "$folder" branch -f feature "$parent"
git -C "$folder" fast-export main feature > rebased.fe
