set -e
folder=$(mktemp -d)
git init -q -b main --bare "$folder"
git -C "$folder" fast-import --quiet < history.fe
git clone -q "$folder" "$folder/work" 2> /dev/null
cd "$folder/work"
git rev-list --reverse main > ../commits
mixed=$(sed -n 2p ../commits)
as() {  # as COMMIT: author and committer of a commit
    eval "$(git log -1 --format="export GIT_AUTHOR_NAME='%an' GIT_AUTHOR_EMAIL='%ae' GIT_AUTHOR_DATE='%at +0000' GIT_COMMITTER_NAME='%cn' GIT_COMMITTER_EMAIL='%ce' GIT_COMMITTER_DATE='%ct +0000'" "$1")"
}
git checkout -q --detach "$mixed~1"
as "$mixed"
sed -i 's/\btotal\b/sum_cents/g' calc.py app.py
git commit -q -a -m "Rename total to sum_cents"
parent=$(git rev-parse HEAD)
parent=$(git commit-tree -p "$parent" -m "Round shares up" "$mixed^{tree}")
for commit in $(sed 1,2d ../commits); do
    as "$commit"
    parent=$(git log -1 --format=%B "$commit" | sed '$d' | git commit-tree -p "$parent" "$commit^{tree}")
done
git branch -f main "$parent"
git checkout -q main
git fast-export main > ../split.fe
cd - > /dev/null
cp "$folder/split.fe" .
