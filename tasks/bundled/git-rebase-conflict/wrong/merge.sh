# everything in the last commit of a merge
sh "$BRIDLE_SOLUTION"
folder=$(mktemp -d)
git init -q -b main --bare "$folder"
git -C "$folder" fast-import --quiet < rebased.fe
tree=$(git -C "$folder" rev-parse 'feature^{tree}')
git -C "$folder" fast-import --quiet --force < history.fe
commit=$(git -C "$folder" -c user.name=m -c user.email=m@x commit-tree -p main -p feature -m "Merge" "$tree")
git -C "$folder" branch -f feature "$commit"
git -C "$folder" fast-export main feature > rebased.fe
