# parts of a group are looked up in what there was when the module was loaded
sh "$BRIDLE_SOLUTION"
sed -i 's/return sum(area(part) for part in shape\["parts"\])/return sum(_FIRST[part["kind"]].area(part) for part in shape["parts"])/' shapes.py
printf '\n_FIRST = dict(KINDS)\n' >> shapes.py
