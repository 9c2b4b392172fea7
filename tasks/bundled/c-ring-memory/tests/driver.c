/* Counts and refuses memory: ring.c is compiled with malloc and its kin renamed to these. */
#include "ring.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long living, refuse_after = -1;
static int refused(void) { return refuse_after == 0 || (refuse_after > 0 && --refuse_after < 0); }
void *test_malloc(size_t size) {
    if (refused())
        return NULL;
    living++;
    return malloc(size ? size : 1);
}
void *test_calloc(size_t count, size_t size) {
    if (refused())
        return NULL;
    void *found = calloc(count ? count : 1, size ? size : 1);
    living += found != NULL;
    return found;
}
void *test_realloc(void *old, size_t size) {
    if (refused())
        return NULL;
    living += old == NULL;
    return realloc(old, size ? size : 1);
}
void test_free(void *old) {
    living -= old != NULL;
    free(old);
}

static void show(struct ring *ring) {
    char *joined = ring_join(ring, ",");
    printf("%zu [%s]\n", ring_count(ring), joined ? joined : "NULL");
    test_free(joined);
}

/* Lines: new N, put TEXT, get N, again N (put what get N gives), join TEXT, resize N, refuse N, free, living, show */
int main(void) {
    struct ring *ring = NULL;
    static char line[100000];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = strchr(line, ' ');
        rest = rest ? (*rest = '\0', rest + 1) : line + strlen(line);
        if (!strcmp(line, "new")) {
            ring = ring_new(strtoull(rest, NULL, 10));
            printf("%s\n", ring ? "ring" : "NULL");
        } else if (!strcmp(line, "put")) {
            char *copy = strdup(rest);
            printf("%d\n", ring_put(ring, copy));
            memset(copy, '!', strlen(copy));
            free(copy);
        } else if (!strcmp(line, "again"))
            printf("%d\n", ring_put(ring, ring_get(ring, strtoull(rest, NULL, 10))));
        else if (!strcmp(line, "get")) {
            const char *text = ring_get(ring, strtoull(rest, NULL, 10));
            printf("%s\n", text ? text : "NULL");
        } else if (!strcmp(line, "join")) {
            char *joined = ring_join(ring, rest);
            printf("%s\n", joined ? joined : "NULL");
            test_free(joined);
        } else if (!strcmp(line, "resize"))
            printf("%d\n", ring_resize(ring, strtoull(rest, NULL, 10)));
        else if (!strcmp(line, "refuse"))
            refuse_after = strtol(rest, NULL, 10);
        else if (!strcmp(line, "free")) {
            ring_free(ring);
            ring = NULL;
        } else if (!strcmp(line, "living"))
            printf("%ld\n", living);
        else if (!strcmp(line, "show"))
            show(ring);
    }
    return 0;
}
