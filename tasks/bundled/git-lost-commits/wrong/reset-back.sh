# the lost commits are back, and those that came after them are gone
git --git-dir shop.git branch rescued 'main@{3}'
git --git-dir shop.git fast-export rescued | sed 's/refs\/heads\/rescued/refs\/heads\/main/' > recovered.fe
git --git-dir shop.git branch -D rescued > /dev/null
