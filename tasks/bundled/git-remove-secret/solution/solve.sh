set -e
folder=$(mktemp -d)
git init -q --bare "$folder"
git -C "$folder" fast-import --quiet < history.fe
git -C "$folder" filter-branch -f --index-filter 'git rm -q --cached --ignore-unmatch deploy.key' -- main > /dev/null 2>&1
git -C "$folder" fast-export main > clean.fe
