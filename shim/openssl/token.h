/* Tokens in use: which slot, the session, the login, and finding objects. With the lock held. */
#ifndef HEM_TOKEN_H
#define HEM_TOKEN_H

#include "pin.h"
#include "pkcs11.h"
#include "uri.h"

struct hem_token;

/* The one token that `name` describes. NULL with an error in the queue when there is none, or more
 * than one. What is returned stays until hem_tokens_forget(). */
struct hem_token *hem_token_find(const struct hem_name *name);

/* The token's label, for messages. */
const char *hem_token_label(const struct hem_token *token);

/* A session that is good in this process, logged in if asked for; 0 with an error in the queue.
 * `pin` and `asker` may be NULL. A PIN that was accepted is kept for later logins: after a fork, and
 * when the module has forgotten the session. */
CK_SESSION_HANDLE hem_token_session(struct hem_token *token, bool login, const char *pin,
                                    const struct hem_asker *asker);

/* Drops the session when `rv` says that it, or what was found in it, is no longer good. Returns
 * whether a second attempt makes sense. */
bool hem_token_recover(struct hem_token *token, CK_RV rv);

/* Changes when handles of objects must be looked up again. */
unsigned hem_token_generation(const struct hem_token *token);

/* Fills `found` with up to `room` handles; false with an error in the queue. */
bool hem_token_search(struct hem_token *token, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template,
                      CK_ULONG count, CK_OBJECT_HANDLE *found, CK_ULONG room, CK_ULONG *number);

/* An attribute's value, to be freed with OPENSSL_free(); NULL when the object has none, and no
 * error in the queue then. */
unsigned char *hem_token_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                               CK_ULONG attribute, size_t *length);

/* Forgets all tokens with their PINs. */
void hem_tokens_forget(void);

#endif
