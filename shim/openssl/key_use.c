/* Signing and agreeing with a key of the token: in a session that is good, with a handle that is.
 *
 * A handle goes stale with its session, or in a forked process; the key is then looked for again, and
 * told from others of the same id by its public half.
 */
#include "key_data.h"

#include <string.h>

#include "errors.h"
#include "module.h"
#include "settings.h"

/* Several objects may share an id: the public key decides. */
static bool is_the_key(const struct hem_key *key, CK_SESSION_HANDLE session,
                       CK_OBJECT_HANDLE object)
{
    EVP_PKEY *candidate = hem_key_read_public(session, object, key->text);
    unsigned char *info = NULL;
    int length = candidate == NULL ? -1 : i2d_PUBKEY(candidate, &info);
    bool same = length == key->info_length && memcmp(info, key->info, (size_t)length) == 0;

    OPENSSL_free(info);
    EVP_PKEY_free(candidate);
    return same;
}

static bool find_key_again(struct hem_key *key, CK_SESSION_HANDLE session)
{
    enum { ROOM = 16 };
    CK_ULONG class = CKO_PRIVATE_KEY, count = 0;
    CK_OBJECT_HANDLE found[ROOM];
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, key->id, key->id_length}};

    if (!hem_token_search(key->token, session, template, 2, found, ROOM, &count))
        return false;
    for (CK_ULONG i = 0; i < count; i++)
        if (is_the_key(key, session, found[i])) {
            key->handle = found[i];
            key->generation = hem_token_generation(key->token);
            return true;
        }
    hem_error(HEM_R_NOT_FOUND, "%s is no longer on token '%s'", key->text,
              hem_token_label(key->token));
    return false;
}

/* A session in which key->handle is good. */
static CK_SESSION_HANDLE open_key(struct hem_key *key)
{
    CK_SESSION_HANDLE session = hem_token_session(key->token, true, NULL, NULL);

    if (session == 0)
        return 0;
    if (key->generation != hem_token_generation(key->token) && !find_key_again(key, session))
        return 0;
    return session;
}

typedef CK_RV (*operation)(const CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session,
                           CK_OBJECT_HANDLE key, void *argument, const char **call);

/* Does `operate` with the key, a second time when the session turns out to be gone. */
static bool use_key(struct hem_key *key, operation operate, void *argument)
{
    const char *call = "";
    CK_RV rv = CKR_OK;
    bool again = true;

    hem_lock();
    ERR_set_mark();
    for (int attempt = 0; attempt < 2 && again; attempt++) {
        CK_SESSION_HANDLE session = open_key(key);
        if (session == 0) {
            rv = CKR_GENERAL_ERROR;
            call = NULL;
            break;
        }
        rv = operate(hem_module(), session, key->handle, argument, &call);
        again = rv != CKR_OK && hem_token_recover(key->token, rv);
    }
    if (rv == CKR_OK)
        ERR_pop_to_mark();
    else
        ERR_clear_last_mark();
    hem_unlock();
    if (rv != CKR_OK && call != NULL)
        hem_error_rv(rv, call, key->text);
    return rv == CKR_OK;
}

struct signing {
    CK_MECHANISM mechanism;
    const unsigned char *message;
    size_t message_length;
    unsigned char *signature;
    CK_ULONG length;
};

static CK_RV sign(const CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                  void *argument, const char **call)
{
    struct signing *signing = argument;

    *call = "C_SignInit";
    CK_RV rv = module->C_SignInit(session, &signing->mechanism, key);
    if (rv != CKR_OK)
        return rv;
    *call = "C_Sign";
    CK_ULONG length = signing->length;
    rv = module->C_Sign(session, (CK_BYTE *)signing->message, signing->message_length,
                        signing->signature, &length);
    if (rv == CKR_OK && length > signing->length)
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        signing->length = length;
    if (rv == CKR_DATA_LEN_RANGE) {
        hem_error_message_length(signing->message_length);
        *call = NULL; /* it is said */
    }
    return rv;
}

bool hem_key_sign(struct hem_key *key, CK_MECHANISM mechanism, const unsigned char *message,
                  size_t message_length, unsigned char *signature, size_t *length)
{
    struct signing signing = {mechanism, message, message_length, signature, *length};

    if (!use_key(key, sign, &signing))
        return false;
    *length = signing.length;
    hem_trace("%s signed %zu bytes", key->text, message_length);
    return true;
}

struct agreement {
    CK_MECHANISM mechanism;
    unsigned char *secret;
    CK_ULONG length;
};

static CK_RV agree(const CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                   void *argument, const char **call)
{
    struct agreement *agreement = argument;
    CK_ULONG class = CKO_SECRET_KEY, type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = 1, no = 0;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},
        {CKA_SENSITIVE, &no, sizeof no},
        {CKA_EXTRACTABLE, &yes, sizeof yes},
        {CKA_VALUE_LEN, &agreement->length, sizeof agreement->length},
    };
    CK_ATTRIBUTE value = {CKA_VALUE, agreement->secret, agreement->length};
    CK_OBJECT_HANDLE derived;

    *call = "C_DeriveKey";
    CK_RV rv = module->C_DeriveKey(session, &agreement->mechanism, key, template,
                                   sizeof template / sizeof *template, &derived);
    if (rv != CKR_OK)
        return rv;
    *call = "C_GetAttributeValue";
    rv = module->C_GetAttributeValue(session, derived, &value, 1);
    module->C_DestroyObject(session, derived);
    if (rv == CKR_OK && value.ulValueLen > agreement->length)
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        agreement->length = value.ulValueLen;
    return rv;
}

bool hem_key_agree(struct hem_key *key, const unsigned char *point, size_t point_length,
                   unsigned char *secret, size_t *length)
{
    CK_ECDH1_DERIVE_PARAMS parameters = {
        .kdf = CKD_NULL, .ulPublicDataLen = point_length, .pPublicData = (unsigned char *)point};
    struct agreement agreement = {
        {CKM_ECDH1_DERIVE, &parameters, sizeof parameters}, secret, *length};

    if (!use_key(key, agree, &agreement))
        return false;
    *length = agreement.length;
    hem_trace("%s agreed on a secret", key->text);
    return true;
}
