cat > ring.c <<'Y'
#include "ring.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ring {
    char **at;
    size_t room, first, count;
};

struct ring *ring_new(size_t room) {
    if (room == 0)
        return NULL;
    struct ring *ring = malloc(sizeof *ring);
    if (!ring)
        return NULL;
    ring->at = calloc(room, sizeof *ring->at);
    if (!ring->at) {
        free(ring);
        return NULL;
    }
    ring->room = room;
    ring->first = ring->count = 0;
    return ring;
}

int ring_put(struct ring *ring, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (!copy)
        return -1;
    memcpy(copy, text, size);
    if (ring->count == ring->room) {
        free(ring->at[ring->first]);
        ring->at[ring->first] = copy;
        ring->first = (ring->first + 1) % ring->room;
    } else {
        ring->at[(ring->first + ring->count++) % ring->room] = copy;
    }
    return 0;
}

size_t ring_count(const struct ring *ring) { return ring->count; }

const char *ring_get(const struct ring *ring, size_t place) {
    if (place >= ring->count)
        return NULL;
    return ring->at[(ring->first + place) % ring->room];
}

char *ring_join(const struct ring *ring, const char *between) {
    size_t size = 1, gap = strlen(between);
    for (size_t i = 0; i < ring->count; i++)
        size += strlen(ring_get(ring, i)) + (i ? gap : 0);
    char *joined = malloc(size), *end = joined;
    if (!joined)
        return NULL;
    for (size_t i = 0; i < ring->count; i++) {
        const char *text = ring_get(ring, i);
        if (i) {
            memcpy(end, between, gap);
            end += gap;
        }
        memcpy(end, text, strlen(text));
        end += strlen(text);
    }
    *end = '\0';
    return joined;
}

int ring_resize(struct ring *ring, size_t room) {
    if (room == 0 || room > SIZE_MAX / sizeof *ring->at)
        return -1;
    char **at = calloc(room, sizeof *at);
    if (!at)
        return -1;
    size_t gone = ring->count > room ? ring->count - room : 0;
    for (size_t i = 0; i < ring->count; i++) {
        char *text = ring->at[(ring->first + i) % ring->room];
        if (i < gone)
            free(text);
        else
            at[i - gone] = text;
    }
    free(ring->at);
    ring->at = at;
    ring->room = room;
    ring->first = 0;
    ring->count -= gone;
    return 0;
}

void ring_free(struct ring *ring) {
    if (!ring)
        return;
    for (size_t i = 0; i < ring->count; i++)
        free(ring->at[(ring->first + i) % ring->room]);
    free(ring->at);
    free(ring);
}
Y
