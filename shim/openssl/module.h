/* The PKCS#11 module: loaded once, initialised in each process that uses it. */
#ifndef HEM_MODULE_H
#define HEM_MODULE_H

#include <stdbool.h>

#include "pkcs11.h"

/* All that follows, and tokens and keys, is used with this lock held. */
void hem_lock(void);
void hem_unlock(void);

/* The module's functions, ready for use in this process; NULL with an error in the queue. */
const CK_FUNCTION_LIST *hem_module(void);

/* Changes whenever handles from before are worthless: after fork and after hem_module_restart(). */
unsigned hem_module_generation(void);

/* The module says it is not initialised (someone finalised it): initialise anew at the next use. */
void hem_module_restart(void);

/* Finalises what this process initialised. The library stays mapped. */
void hem_module_close(void);

/* The path in use, for messages; valid until the next call. */
const char *hem_module_path(void);

#endif
