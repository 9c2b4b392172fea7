#include "numbers.h"
#include <stdlib.h>

void numbers_add(struct numbers *list, double value) {
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->at = realloc(list->at, list->room * sizeof *list->at);
        if (!list->at)
            abort();
    }
    list->at[list->count++] = value;
    numbers_seen++;
}
