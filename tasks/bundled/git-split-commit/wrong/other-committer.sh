sed 's/GIT_COMMITTER_DATE=.%ct +0000.//' "$BRIDLE_SOLUTION" > /tmp/wrong-split.sh
sh /tmp/wrong-split.sh
