/* A small PKCS#11 module for tests of the engine alone: keys in software (from a PEM file), the
 * mechanisms of a HEM, no network, no Python. It can be told to fail:
 *
 *   TOKEN_KEYS   PEM file with private keys; labels key0, key1, …; ids 00, 01, …
 *   TOKEN_FAIL   "C_Sign:b3:2" lets the second C_Sign answer 0xb3 (hexadecimal), once
 *   TOKEN_MORE   "C_Sign": this call tells of 1000 more bytes or records than it has given
 *   TOKEN_CALLS  file to which each call's name is appended
 *   TOKEN_FLAGS  token flags (hexadecimal) instead of 0x404 (login required, initialised)
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "pkcs11.h"

#include <openssl/pem.h>

#define EXPORT __attribute__((visibility("default")))

enum { KEYS = 8, FIRST_PRIVATE = 100, FIRST_PUBLIC = 200, SECRET = 300, PARTS = 16 };

static const char right_pin[] = "correct horse battery staple";
static EVP_PKEY *keys[KEYS];
static size_t count;
static pid_t initialised_in;
static CK_SESSION_HANDLE session, sessions_so_far;
static bool user;
static CK_OBJECT_HANDLE found[2 * KEYS], signing_key;
static size_t found_count;
static CK_MECHANISM_TYPE signing_mechanism;
static unsigned char secret[66];
static size_t secret_length;

/* Notes the call; what TOKEN_FAIL wants of it, or CKR_OK. */
static CK_RV called(const char *name)
{
    static unsigned seen;
    const char *log = getenv("TOKEN_CALLS"), *fail = getenv("TOKEN_FAIL");
    char wanted[40];
    unsigned long rv;
    unsigned when;

    if (log != NULL) {
        FILE *file = fopen(log, "a");
        if (file != NULL) {
            fprintf(file, "%s\n", name);
            fclose(file);
        }
    }
    if (fail == NULL || sscanf(fail, "%39[^:]:%lx:%u", wanted, &rv, &when) != 3 ||
        strcmp(wanted, name) != 0)
        return CKR_OK;
    return ++seen == when ? rv : CKR_OK;
}

/* What the call tells that it has given. */
static CK_ULONG told(const char *name, CK_ULONG number)
{
    const char *more = getenv("TOKEN_MORE");

    return more != NULL && strcmp(more, name) == 0 ? number + 1000 : number;
}

#define CALLED(name)                                                                               \
    do {                                                                                           \
        CK_RV wanted_rv = called(name);                                                            \
        if (wanted_rv != CKR_OK)                                                                   \
            return wanted_rv;                                                                      \
    } while (0)
#define IN_SESSION                                                                                 \
    if (initialised_in != getpid())                                                                \
        return CKR_CRYPTOKI_NOT_INITIALIZED;                                                       \
    if (handle != session)                                                                         \
        return CKR_SESSION_HANDLE_INVALID

static CK_RV initialize(void *arguments)
{
    (void)arguments;
    CALLED("C_Initialize");
    if (initialised_in == getpid())
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    initialised_in = getpid();
    session = 0;
    user = false;
    if (count == 0) {
        BIO *file = BIO_new_file(getenv("TOKEN_KEYS"), "r");
        while (count < KEYS && (keys[count] = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL)))
            count++;
        BIO_free(file);
        ERR_clear_error();
    }
    return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    CALLED("C_Finalize");
    if (initialised_in != getpid())
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    initialised_in = 0;
    for (size_t i = 0; i < count; i++)
        EVP_PKEY_free(keys[i]);
    count = 0;
    return CKR_OK;
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *number)
{
    (void)present;
    CALLED("C_GetSlotList");
    if (slots != NULL)
        slots[0] = 5;
    *number = told("C_GetSlotList", 1);
    return CKR_OK;
}

static void pad(unsigned char *text, size_t size, const char *value)
{
    memset(text, ' ', size);
    memcpy(text, value, strlen(value));
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    const char *flags = getenv("TOKEN_FLAGS");

    (void)slot;
    CALLED("C_GetTokenInfo");
    memset(info, 0, sizeof *info);
    pad(info->label, sizeof info->label, "test token");
    pad(info->manufacturerID, sizeof info->manufacturerID, "tests");
    pad(info->model, sizeof info->model, "software");
    pad(info->serialNumber, sizeof info->serialNumber, "1");
    info->flags = flags == NULL ? 0x404 : strtoul(flags, NULL, 16);
    return CKR_OK;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    memset(info, ' ', sizeof *info);
    return CKR_OK;
}

static CK_RV get_info(CK_INFO *info)
{
    memset(info, 0, sizeof *info);
    memset(info->libraryDescription, ' ', sizeof info->libraryDescription);
    memset(info->manufacturerID, ' ', sizeof info->manufacturerID);
    info->libraryVersion = (CK_VERSION){1, 2};
    return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, void *notify,
                          CK_SESSION_HANDLE *handle)
{
    (void)slot;
    (void)flags;
    (void)application;
    (void)notify;
    CALLED("C_OpenSession");
    session = *handle = ++sessions_so_far;
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE handle)
{
    CALLED("C_CloseSession");
    IN_SESSION;
    session = 0;
    user = false;
    return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE handle, CK_USER_TYPE type, CK_UTF8CHAR *pin, CK_ULONG length)
{
    (void)type;
    CALLED("C_Login");
    IN_SESSION;
    bool own_source = pin == NULL && getenv("TOKEN_FLAGS") != NULL;
    if (!own_source &&
        (pin == NULL || length != strlen(right_pin) || memcmp(pin, right_pin, length) != 0))
        return CKR_PIN_INCORRECT;
    user = true;
    return CKR_OK;
}

static size_t index_of(CK_OBJECT_HANDLE object)
{
    return object >= FIRST_PUBLIC ? object - FIRST_PUBLIC : object - FIRST_PRIVATE;
}

/* The attributes the engine asks for; 0 = not there. */
static size_t attribute(CK_OBJECT_HANDLE object, CK_ULONG type, unsigned char *value)
{
    size_t number = index_of(object);
    CK_ULONG class = object >= FIRST_PUBLIC ? CKO_PUBLIC_KEY : CKO_PRIVATE_KEY;
    unsigned char *next = value;

    switch (type) {
    case CKA_CLASS:
        memcpy(value, &class, sizeof class);
        return sizeof class;
    case CKA_ID:
        *value = (unsigned char)number;
        return 1;
    case CKA_LABEL:
        return (size_t)sprintf((char *)value, "key%zu", number);
    case CKA_UNIQUE_ID:
        return (size_t)sprintf((char *)value, "%032zx", number);
    case CKA_PUBLIC_KEY_INFO:
        return (size_t)i2d_PUBKEY(keys[number], &next);
    default:
        return 0;
    }
}

static bool matches(CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *template, CK_ULONG length)
{
    unsigned char value[1024];

    for (CK_ULONG i = 0; i < length; i++)
        if (attribute(object, template[i].type, value) != template[i].ulValueLen ||
            memcmp(value, template[i].pValue, template[i].ulValueLen) != 0)
            return false;
    return true;
}

static CK_RV find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG length)
{
    CALLED("C_FindObjectsInit");
    IN_SESSION;
    found_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (user && matches(FIRST_PRIVATE + i, template, length))
            found[found_count++] = FIRST_PRIVATE + i;
        if (matches(FIRST_PUBLIC + i, template, length))
            found[found_count++] = FIRST_PUBLIC + i;
    }
    return CKR_OK;
}

static CK_RV find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG room,
                          CK_ULONG *number)
{
    CALLED("C_FindObjects");
    IN_SESSION;
    *number = found_count < room ? found_count : room;
    memcpy(objects, found, *number * sizeof *objects);
    found_count -= *number;
    memmove(found, found + *number, found_count * sizeof *found);
    *number = told("C_FindObjects", *number);
    return CKR_OK;
}

static CK_RV find_objects_final(CK_SESSION_HANDLE handle)
{
    IN_SESSION;
    return CKR_OK;
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *query, CK_ULONG number)
{
    unsigned char value[1024];

    (void)number;
    CALLED("C_GetAttributeValue");
    IN_SESSION;
    size_t length = sizeof secret;
    if (object == SECRET)
        memcpy(value, secret, length = secret_length);
    else
        length = attribute(object, query->type, value);
    if (length == 0) {
        query->ulValueLen = (CK_ULONG)-1;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    if (query->pValue != NULL) {
        if (query->ulValueLen < length)
            return CKR_BUFFER_TOO_SMALL;
        memcpy(query->pValue, value, length);
        length = told("C_GetAttributeValue", length);
    }
    query->ulValueLen = length;
    return CKR_OK;
}

static CK_RV sign_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CALLED("C_SignInit");
    IN_SESSION;
    if (!user)
        return CKR_USER_NOT_LOGGED_IN;
    signing_key = key;
    signing_mechanism = mechanism->mechanism;
    return CKR_OK;
}

/* r and s of a DER signature side by side, each `half` bytes. */
static void to_raw(const unsigned char *der, size_t length, unsigned char *raw, int half)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);

    BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, half);
    ECDSA_SIG_free(pair);
}

static CK_RV sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG length, CK_BYTE *signature,
                  CK_ULONG *signature_length)
{
    CALLED("C_Sign");
    IN_SESSION;
    const char *most = getenv("TOKEN_MOST"); /* bytes of a message, as firmware_limits says */
    if (length < 1 || length > (most == NULL ? 2048UL : strtoul(most, NULL, 10)))
        return CKR_DATA_LEN_RANGE;
    EVP_PKEY *key = keys[index_of(signing_key)];
    const EVP_MD *digest = signing_mechanism == CKM_ECDSA_SHA256   ? EVP_sha256()
                           : signing_mechanism == CKM_ECDSA_SHA384 ? EVP_sha384()
                           : signing_mechanism == CKM_ECDSA_SHA512 ? EVP_sha512()
                                                                   : NULL;
    unsigned char der[256];
    size_t size = sizeof der;
    int half = (EVP_PKEY_bits(key) + 7) / 8;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    bool done = EVP_DigestSignInit(ctx, NULL, digest, NULL, key) > 0 &&
                EVP_DigestSign(ctx, der, &size, data, length) > 0;
    EVP_MD_CTX_free(ctx);
    if (!done)
        return CKR_FUNCTION_FAILED;
    if (digest != NULL) {
        to_raw(der, size, signature, half);
        *signature_length = 2 * (CK_ULONG)half;
    } else {
        memcpy(signature, der, size);
        *signature_length = size;
    }
    *signature_length = told("C_Sign", *signature_length);
    return CKR_OK;
}

static CK_RV derive_key(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                        CK_ATTRIBUTE *template, CK_ULONG number, CK_OBJECT_HANDLE *derived)
{
    CK_ECDH1_DERIVE_PARAMS *parameters = mechanism->pParameter;
    EVP_PKEY *key = keys[index_of(base)], *peer = EVP_PKEY_new();

    (void)template;
    (void)number;
    CALLED("C_DeriveKey");
    IN_SESSION;
    EVP_PKEY_copy_parameters(peer, key);
    if (EVP_PKEY_id(key) == EVP_PKEY_X25519)
        EVP_PKEY_set_type(peer, EVP_PKEY_X25519);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    secret_length = sizeof secret;
    bool done = EVP_PKEY_set1_tls_encodedpoint(peer, parameters->pPublicData,
                                               parameters->ulPublicDataLen) > 0 &&
                EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
                EVP_PKEY_derive(ctx, secret, &secret_length) > 0;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    *derived = SECRET;
    return done ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    (void)object;
    IN_SESSION;
    return CKR_OK;
}

static CK_FUNCTION_LIST list = {
    .version = {2, 40},
    .C_Initialize = initialize,
    .C_Finalize = finalize,
    .C_GetInfo = get_info,
    .C_GetSlotList = get_slot_list,
    .C_GetSlotInfo = get_slot_info,
    .C_GetTokenInfo = get_token_info,
    .C_OpenSession = open_session,
    .C_CloseSession = close_session,
    .C_Login = login,
    .C_FindObjectsInit = find_objects_init,
    .C_FindObjects = find_objects,
    .C_FindObjectsFinal = find_objects_final,
    .C_GetAttributeValue = get_attribute_value,
    .C_SignInit = sign_init,
    .C_Sign = sign,
    .C_DeriveKey = derive_key,
    .C_DestroyObject = destroy_object,
};

EXPORT CK_RV C_GetFunctionList(void **functions);

CK_RV C_GetFunctionList(void **functions)
{
    *functions = &list;
    return CKR_OK;
}
