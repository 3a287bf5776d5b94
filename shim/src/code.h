/* The module _hem_code, for an interpreter that we start. */
#ifndef HEM_CODE_H
#define HEM_CODE_H

#include <Python.h>

PyMODINIT_FUNC PyInit__hem_code(void);

#endif
