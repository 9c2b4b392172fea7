folder=$(mktemp -d)
git init -q -b main "$folder"
git -C "$folder" fast-import --quiet < history.fe
git -C "$folder" checkout -q main
git -C "$folder" rm -q deploy.key
git -C "$folder" -c user.name=a -c user.email=a@b commit -q --amend -C HEAD
git -C "$folder" fast-export main > clean.fe
