sh "$BRIDLE_SOLUTION"
sed -i 's/(Path(__file__).parent \/ "tables" \/ "ports.json")/Path("src\/tidemark\/tables\/ports.json")/' src/tidemark/ports.py
