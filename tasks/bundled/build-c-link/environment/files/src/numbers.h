/* A growing list of numbers. */
struct numbers {
    double *at;
    int count;
    int room;
};

int numbers_seen;

void numbers_add(struct numbers *list, double value);

double square(double value) { return value * value; }
