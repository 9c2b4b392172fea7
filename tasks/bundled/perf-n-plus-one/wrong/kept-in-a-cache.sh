# authors are remembered from call to call
sh "$BRIDLE_SOLUTION"
sed -i 's/^MOST = 50/MOST = 50\n_KNOWN = {}/; s/^    authors = {}/    authors = _KNOWN/' shelf/overview.py
