/* Reads numbers from standard input; prints how many, their mean and their deviation. */
#include "numbers.h"
#include "spread.h"
#include <stdio.h>

int main(void) {
    struct numbers list = {0};
    double value;
    while (scanf("%lf", &value) == 1)
        numbers_add(&list, value);
    if (!numbers_seen) {
        puts("no numbers");
        return 1;
    }
    printf("%d %.3f %.3f\n", numbers_seen, mean(&list), deviation(&list));
    return 0;
}
