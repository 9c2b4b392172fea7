#include "spread.h"
#include "numbers.h"
#include <math.h>

static double mean(const struct numbers *list) {
    double sum = 0;
    for (int i = 0; i < list->count; i++)
        sum += list->at[i];
    return sum / list->count;
}

double deviation(const struct numbers *list) {
    double middle = mean(list), sum = 0;
    for (int i = 0; i < list->count; i++)
        sum += square(list->at[i] - middle);
    return sqrt(sum / list->count);
}
