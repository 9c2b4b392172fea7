# list.sh PAGE...: their names, one a line.
for page; do basename "$page" .html; done
