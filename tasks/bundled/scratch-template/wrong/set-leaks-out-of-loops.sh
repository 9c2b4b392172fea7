sh "$BRIDLE_SOLUTION"
sed -i 's/        _write(nodes, {\*\*variables, name: item, "loop": loop}, out)/        variables[name], variables["loop"] = item, loop\n        _write(nodes, variables, out)/' template.py
