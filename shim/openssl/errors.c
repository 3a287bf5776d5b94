/* Texts of the engine's errors, and PKCS #11 return values in words. */
#include "errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "pkcs11.h"
#include "sizes.h"

static int library;

/* ERR_load_strings() fills in the library's number in place. */
static ERR_STRING_DATA library_name[] = {{0, "hem engine"}, {0, NULL}};
static ERR_STRING_DATA reasons[] = {
    {HEM_R_AMBIGUOUS, "more than one object matches"},
    {HEM_R_CONTROL, "wrong control command"},
    {HEM_R_DIGEST_ONLY, "cannot sign a ready-made digest"},
    {HEM_R_DIGEST_UNSUPPORTED, "digest not supported"},
    {HEM_R_FOREIGN_KEY, "not a key of this engine"},
    {HEM_R_KEY_TYPE, "key type not supported"},
    {HEM_R_MEMORY, "out of memory"},
    {HEM_R_MESSAGE_LENGTH, "message of wrong length"},
    {HEM_R_MODULE, "PKCS#11 module not usable"},
    {HEM_R_NOT_FOUND, "no such object"},
    {HEM_R_PIN_NEEDED, "a PIN is needed"},
    {HEM_R_PIN_WRONG, "PIN not accepted"},
    {HEM_R_PKCS11, "PKCS#11 call failed"},
    {HEM_R_ROOM, "buffer too small"},
    {HEM_R_TOKEN, "no such token"},
    {HEM_R_URI, "wrong key or certificate name"},
    {HEM_R_USAGE, "key not made for this use"},
    {0, NULL},
};

void hem_errors_load(void)
{
    if (library != 0)
        return;
    library = ERR_get_next_error_library();
    library_name[0].error = ERR_PACK(library, 0, 0);
    ERR_load_strings(library, reasons);
    ERR_load_strings(0, library_name);
}

void hem_errors_unload(void)
{
    if (library == 0)
        return;
    ERR_unload_strings(library, reasons);
    ERR_unload_strings(0, library_name);
    for (ERR_STRING_DATA *each = reasons; each->string != NULL; each++)
        each->error = (unsigned long)ERR_GET_REASON(each->error);
    library = 0;
}

int hem_errors_library(void)
{
    return library;
}

void hem_error_detail(const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ERR_add_error_data(1, text);
}

static const struct meaning {
    CK_RV rv;
    enum hem_reason reason;
    const char *name;
    const char *advice;
} meanings[] = {
    {CKR_HOST_MEMORY, HEM_R_MEMORY, "CKR_HOST_MEMORY", NULL},
    {CKR_GENERAL_ERROR, HEM_R_PKCS11, "CKR_GENERAL_ERROR", "the module's log says why"},
    {CKR_FUNCTION_FAILED, HEM_R_PKCS11, "CKR_FUNCTION_FAILED", "the module's log says why"},
    {CKR_DATA_LEN_RANGE, HEM_R_MESSAGE_LENGTH, "CKR_DATA_LEN_RANGE",
     "the module's log says what is accepted"},
    {CKR_DEVICE_ERROR, HEM_R_PKCS11, "CKR_DEVICE_ERROR", "the module's log says why"},
    {CKR_DEVICE_REMOVED, HEM_R_PKCS11, "CKR_DEVICE_REMOVED", "the device cannot be reached"},
    {CKR_KEY_SIZE_RANGE, HEM_R_USAGE, "CKR_KEY_SIZE_RANGE", "keys of this size cannot do it"},
    {CKR_KEY_TYPE_INCONSISTENT, HEM_R_USAGE, "CKR_KEY_TYPE_INCONSISTENT",
     "keys of this type cannot do it"},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, HEM_R_USAGE, "CKR_KEY_FUNCTION_NOT_PERMITTED",
     "the key was not made for this use (sign or derive): make one that was"},
    {CKR_MECHANISM_INVALID, HEM_R_PKCS11, "CKR_MECHANISM_INVALID",
     "the module does not offer this with such a key"},
    {CKR_MECHANISM_PARAM_INVALID, HEM_R_PKCS11, "CKR_MECHANISM_PARAM_INVALID",
     "is the other side's key on the same curve?"},
    {CKR_PIN_INCORRECT, HEM_R_PIN_WRONG, "CKR_PIN_INCORRECT",
     "check pin-value or pin-source of the URI, the PIN command, or the configured passphrase"},
    {CKR_PIN_INVALID, HEM_R_PIN_WRONG, "CKR_PIN_INVALID", "the PIN must be UTF-8 text"},
    {CKR_PIN_LEN_RANGE, HEM_R_PIN_WRONG, "CKR_PIN_LEN_RANGE", "the PIN is too short or too long"},
    {CKR_PIN_LOCKED, HEM_R_PIN_WRONG, "CKR_PIN_LOCKED", "the token refuses more attempts"},
    {CKR_TOKEN_NOT_PRESENT, HEM_R_TOKEN, "CKR_TOKEN_NOT_PRESENT", "the device cannot be reached"},
    {CKR_TOKEN_NOT_RECOGNIZED, HEM_R_TOKEN, "CKR_TOKEN_NOT_RECOGNIZED",
     "the device is not initialised, or no HEM"},
    {CKR_USER_NOT_LOGGED_IN, HEM_R_PIN_NEEDED, "CKR_USER_NOT_LOGGED_IN", NULL},
    {CKR_USER_PIN_NOT_INITIALIZED, HEM_R_TOKEN, "CKR_USER_PIN_NOT_INITIALIZED",
     "the device is not initialised"},
};

void hem_error_message_length(size_t length)
{
    hem_error(HEM_R_MESSAGE_LENGTH, "%zu bytes; the device hashes by itself and signs messages of 1 "
                                    "to " HEM_TEXT(HEM_MESSAGE_USUAL)
                                    " bytes, or as many as firmware_limits says", length);
}

void hem_error_rv(CK_RV rv, const char *call, const char *subject)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const struct meaning *known = &meanings[i];
        if (known->rv == rv) {
            const char *advice = known->advice;
            hem_error(known->reason, "%s: %s answered %s%s%s", subject, call, known->name,
                      advice == NULL ? "" : ": ", advice == NULL ? "" : advice);
            return;
        }
    }
    hem_error(HEM_R_PKCS11, "%s: %s answered 0x%lx", subject, call, rv);
}
