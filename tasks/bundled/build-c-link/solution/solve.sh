cat > Makefile <<'Y'
CC = gcc
CFLAGS = -O1 -Wall
LDLIBS = -lm
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c))

stats: $(OBJS)
	$(CC) $(LDFLAGS) -o $@ $(OBJS) $(LDLIBS)

src/%.o: src/%.c
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJS:.o=.d)

.PHONY: clean
clean:
	rm -f stats src/*.o src/*.d
Y
cat > src/numbers.h <<'Y'
/* A growing list of numbers. */
#ifndef NUMBERS_H
#define NUMBERS_H

struct numbers {
    double *at;
    int count;
    int room;
};

extern int numbers_seen;

void numbers_add(struct numbers *list, double value);

static inline double square(double value) { return value * value; }

#endif
Y
cat > src/spread.h <<'Y'
#ifndef SPREAD_H
#define SPREAD_H

#include "numbers.h"

double mean(const struct numbers *list);
double deviation(const struct numbers *list);

#endif
Y
sed -i 's/^static double mean/double mean/' src/spread.c
sed -i 's/^#include <stdlib.h>/#include <stdlib.h>\n\nint numbers_seen;/' src/numbers.c
