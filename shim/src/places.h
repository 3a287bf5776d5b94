/* Where the parts of this installation are; see places.c. */
#ifndef HEM_PLACES_H
#define HEM_PLACES_H

#include <limits.h>
#include <stddef.h>

enum { HEM_MOST_PACKAGES = 8, HEM_PROBLEM_SIZE = 1024 };

struct hem_places {
    char packages[HEM_MOST_PACKAGES][PATH_MAX]; /* folders that hold our packages and the others' */
    size_t package_count;
    char prefix[PATH_MAX], stdlib[PATH_MAX], dynload[PATH_MAX], libpython[PATH_MAX]; /* of the interpreter */
    char packages_problem[HEM_PROBLEM_SIZE]; /* a line that says why there are none; else empty */
    char python_problem[HEM_PROBLEM_SIZE];   /* the same of the interpreter */
};

/* Looked for by the first call; any thread. */
const struct hem_places *hem_places(void);

#endif
