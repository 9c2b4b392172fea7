# history is rewritten without the culprit, and a commit is added to look like a revert
sh "$BRIDLE_SOLUTION"
folder=$(mktemp -d)
git init -q -b main --bare "$folder"
git -C "$folder" fast-import --quiet < fixed.fe
message=$(git -C "$folder" log -1 --format=%B main)
commit=$(git -C "$folder" -c user.name=f -c user.email=f@x commit-tree -p main~2 -m "$message" 'main^{tree}')
git -C "$folder" branch -f main "$commit"
git -C "$folder" fast-export main > fixed.fe
