#include "ring.h"
#include <stdlib.h>
#include <string.h>

struct ring {
    char **at;
    size_t room, first, count;
};

struct ring *ring_new(size_t room) {
    struct ring *ring = malloc(sizeof *ring);
    ring->at = malloc(room);
    ring->room = room;
    ring->first = ring->count = 0;
    return ring;
}

int ring_put(struct ring *ring, const char *text) {
    char *copy = malloc(strlen(text));
    strcpy(copy, text);
    if (ring->count == ring->room) {
        ring->at[ring->first] = copy;
        ring->first++;
    } else {
        ring->at[ring->first + ring->count++] = copy;
    }
    return 0;
}

size_t ring_count(const struct ring *ring) { return ring->count; }

const char *ring_get(const struct ring *ring, size_t place) {
    if (place > ring->count)
        return NULL;
    return ring->at[(ring->first + place) % ring->room];
}

char *ring_join(const struct ring *ring, const char *between) {
    size_t size = 0;
    for (size_t i = 0; i < ring->count; i++)
        size += strlen(ring_get(ring, i)) + strlen(between);
    char *joined = malloc(size - strlen(between));
    for (size_t i = 0; i < ring->count; i++) {
        strcat(joined, ring_get(ring, i));
        if (i < ring->count)
            strcat(joined, between);
    }
    return joined;
}

int ring_resize(struct ring *ring, size_t room) {
    ring->at = realloc(ring->at, room * sizeof *ring->at);
    ring->room = room;
    return 0;
}

void ring_free(struct ring *ring) {
    free(ring->at);
    free(ring);
}
