/* Between the entry points and the Python interpreter. */
#ifndef HEM_RUNTIME_H
#define HEM_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "cryptoki.h"

/* Starts Python and loads our package once per process; later calls answer at once what the
 * first one did. Returns false, having said why, when Python cannot serve. Any thread. */
bool hem_python_start(void);

/* Whether hem_python_start() has succeeded. Never starts anything. */
bool hem_python_ready(void);

/* Says one line to people: to standard error, or where HEM_PKCS11_LOG points. */
void hem_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Written by cffi: loads our Python code into the running interpreter; 0 = done. */
int hem_load_bridge(void);

/* Written by cffi: the one way into Python. Leaves *rv alone when Python fails. */
void hem_dispatch(CK_RV *rv, const char *function, const uintptr_t *words);

#endif
