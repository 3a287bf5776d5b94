/* One of each operation of a user; see operations.c. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "cryptoki.h"

/* `functions` is the array in a CK_FUNCTION_LIST, `in_session` a session that is logged in. There is
 * a P-256 key "hosted" that signs. CKR_OK, or what failed first, which is said on standard error. */
CK_RV all_operations(const void *functions, CK_ULONG in_session, const char *pin);

#endif
