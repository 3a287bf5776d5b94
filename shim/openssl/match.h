/* Which slot the URI of a key describes. With the lock held. */
#ifndef HEM_MATCH_H
#define HEM_MATCH_H

#include <stdbool.h>

#include "pkcs11.h"
#include "uri.h"

/* What was looked at, for the message when nothing or too much fits; `slot` and `info` are of the last
 * one that does. */
struct hem_match {
    char labels[512];
    size_t fitting;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
};

/* Text of the module without its padding; `text` has room for size + 1 bytes. */
void hem_unpad(char *text, const unsigned char *padded, size_t size);

/* Holds every slot with a token against `name`; false with an error in the queue when there is none. */
bool hem_match_slots(const CK_FUNCTION_LIST *module, const struct hem_name *name,
                     struct hem_match *match);

/* Whether the module is the library that `name` asks for. */
bool hem_match_library(const CK_FUNCTION_LIST *module, const struct hem_name *name);

#endif
