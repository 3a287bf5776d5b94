/* Finding the one object that a name means. With the lock held. */
#ifndef HEM_FIND_H
#define HEM_FIND_H

#include "token.h"

/* The one object of `class` that `name` means, or 0 with an error in the queue: none, or several
 * (then their ids and labels are in the message). `text` is for messages: the name without PIN. */
CK_OBJECT_HANDLE hem_find_one(struct hem_token *token, CK_SESSION_HANDLE session,
                              const struct hem_name *name, CK_ULONG class, const char *text);

/* Whether the URI's type (if any) admits `class`; else an error in the queue. */
bool hem_find_type_fits(const struct hem_name *name, CK_ULONG class, const char *text);

/* `name` as people may see it: what it says of the object, without its query. */
void hem_find_describe(const char *name, char *text, size_t size);

#endif
