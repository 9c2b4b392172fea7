#include "numbers.h"

double mean(const struct numbers *list);
double deviation(const struct numbers *list);
