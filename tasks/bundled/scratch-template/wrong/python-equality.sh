# true is 1, as in Python
sh "$BRIDLE_SOLUTION"
sed -i 's/        return _equal(one, two)$/        return one == two/; s/return not _equal(one, two)/return one != two/' template.py
