# everything is phony: always right, never idle
sh "$BRIDLE_SOLUTION"
sed -i 's/^.PHONY: all clean/.PHONY: all clean $(OUT) out\/list.txt/' Makefile
