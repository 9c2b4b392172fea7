# a plugin that fails half-way leaves what it registered
sh "$BRIDLE_SOLUTION"
sed -i '/registry.restore(before)/d' convert/plugins.py
