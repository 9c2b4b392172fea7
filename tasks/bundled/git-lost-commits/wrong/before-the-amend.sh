# takes the commit that was amended
set -e
folder=$(mktemp -d)
git clone -q --no-hardlinks shop.git "$folder"
cp -r shop.git/objects "$folder/.git/"
lost=$(git --git-dir shop.git rev-parse 'main@{4}')
git -C "$folder" -c user.name=rescue -c user.email=rescue@example.org cherry-pick "$lost~2..$lost" > /dev/null
git -C "$folder" fast-export main > recovered.fe
