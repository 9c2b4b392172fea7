# page.sh TEXT: the page of a text, on standard output.
. tools/site.conf
sed "s/@SITE@/$SITE/" parts/head.html
sed 's/^/<p>/; s/$/<\/p>/' "$1"
cat parts/foot.html
