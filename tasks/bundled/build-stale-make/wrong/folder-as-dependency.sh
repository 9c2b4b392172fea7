# the folder's time changes with every page, so pages are made again and again
sh "$BRIDLE_SOLUTION"
sed -i 's/\$(wildcard parts\/\*.html) | out/$(wildcard parts\/*.html) out/' Makefile
