sh "$BRIDLE_SOLUTION"
sed -i 's/^packages = .*/packages = ["tidemark"]/' pyproject.toml
