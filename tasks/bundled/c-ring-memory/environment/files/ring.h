/* A ring of texts: it keeps the last `room` of those that were put in. */
#ifndef RING_H
#define RING_H

#include <stddef.h>

struct ring;

/* NULL where `room` is 0 or there is no memory. */
struct ring *ring_new(size_t room);
/* Keeps a copy of `text`. The oldest goes when the ring is full. 0, or -1 where there is no memory; the ring is then as it was. */
int ring_put(struct ring *ring, const char *text);
size_t ring_count(const struct ring *ring);
/* The text at `place`, 0 being the oldest; NULL where there is none. It lives until it is dropped from the ring. */
const char *ring_get(const struct ring *ring, size_t place);
/* All texts, the oldest first, with `between` between them; NULL where there is no memory. To be freed by the caller. */
char *ring_join(const struct ring *ring, const char *between);
/* Makes the ring larger or smaller; the newest texts are kept. 0, or -1 where `room` is 0 or there is no memory. */
int ring_resize(struct ring *ring, size_t room);
/* NULL is allowed. */
void ring_free(struct ring *ring);

#endif
