/* The engine's entries in OpenSSL's error queue. */
#ifndef HEM_ERRORS_H
#define HEM_ERRORS_H

#include "compat.h"
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
    HEM_R_ROOM,
    HEM_R_TOKEN,
    HEM_R_URI,
    HEM_R_USAGE,
};

void hem_errors_load(void);
void hem_errors_unload(void);

/* A source's own name; which of several -ffile-prefix-map counts differs between compilers. */
#ifdef __FILE_NAME__
#define HEM_FILE __FILE_NAME__
#else
#define HEM_FILE __FILE__
#endif

/* Adds an entry: the reason's text, then what the format gives (the thing it is about and what to
 * do). Never pass a secret. */
#define hem_error(reason, ...)                                                                     \
    do {                                                                                           \
        ERR_put_error(hem_errors_library(), 0, (int)(reason), HEM_FILE, __LINE__);                 \
        hem_error_detail(__VA_ARGS__);                                                             \
    } while (0)
void hem_error_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The number OpenSSL gave us. */
int hem_errors_library(void);

/* Refuses to sign a message of `length` bytes, be it by the device's limits. */
void hem_error_message_length(size_t length);

/* Adds an entry for a PKCS #11 call on `subject` (a key or token) that answered `rv`. */
void hem_error_rv(CK_RV rv, const char *call, const char *subject);

#endif
