/* The module _hem_code, for an interpreter that we start. */
#ifndef HEM_CODE_H
#define HEM_CODE_H

#include <Python.h>

#include <stdbool.h>

/* Whether reading makes no thread, as hosts can demand. */
void hem_code_works_alone(bool yes);

PyMODINIT_FUNC PyInit__hem_code(void);

#endif
