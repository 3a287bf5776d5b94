/* Key files that name a key of the token, for programs that read nothing but files. */
#ifndef HEM_PEM_H
#define HEM_PEM_H

#include <stdbool.h>

#include "compat.h"

/* From now on OpenSSL reads such files as keys of `engine`: PKCS#8 (RFC 5958) with the algorithm
 * 2.25.122430122048691160896791740829055947175, whose private key is a name as in uri.h. */
bool hem_pem_register(ENGINE *engine);

/* No engine any more: such files are refused. */
void hem_pem_forget(void);

/* OpenSSL's number for that algorithm: a key type that no key ever has. */
int hem_pem_type(void);

#endif
