cat > Makefile <<'Y'
# Builds the site: a page is its text between the head and the foot.

PAGES := $(sort $(wildcard pages/*.txt))
OUT := $(PAGES:pages/%.txt=out/%.html)

.PHONY: all clean
.DELETE_ON_ERROR:

all: $(OUT) out/list.txt

out/%.html: pages/%.txt tools/page.sh tools/site.conf $(wildcard parts/*.html) | out
	sh -e tools/page.sh $< > $@

# The list is of the texts there are, so it is made anew when one comes or goes.
out/list.txt: $(OUT) tools/list.sh pages | out
	sh tools/list.sh $(OUT) > $@

out:
	mkdir -p $@

clean:
	rm -rf out
Y
