/* The engine's entries in OpenSSL's error queue. */
#ifndef HEM_ERRORS_H
#define HEM_ERRORS_H

#include "cryptoki.h"

enum hem_reason {
    HEM_R_AMBIGUOUS = 100,
    HEM_R_CONTROL,
    HEM_R_DIGEST_ONLY,
    HEM_R_DIGEST_UNSUPPORTED,
    HEM_R_FOREIGN_KEY,
    HEM_R_KEY_TYPE,
    HEM_R_MEMORY,
    HEM_R_MESSAGE_LENGTH,
    HEM_R_MODULE,
    HEM_R_NOT_FOUND,
    HEM_R_PIN_NEEDED,
    HEM_R_PIN_WRONG,
    HEM_R_PKCS11,
    HEM_R_TOKEN,
    HEM_R_URI,
    HEM_R_USAGE,
};

void hem_errors_load(void);
void hem_errors_unload(void);

/* Adds an entry: the reason's text, then what `format` gives (the thing it is about and what to
 * do). Never pass a secret. */
void hem_error_at(enum hem_reason reason, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define hem_error(reason, ...) hem_error_at(reason, __FILE__, __LINE__, __VA_ARGS__)

/* Adds an entry for a PKCS #11 call on `subject` (a key or token) that answered `rv`. */
void hem_error_rv(CK_RV rv, const char *call, const char *subject);

#endif
