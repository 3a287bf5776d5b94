/* The engine with a module of its own making: names and key files from the input, and answers of the module too.
 *
 * The module keeps to the buffers that it is given, as every module must, and to nothing else: any return value,
 * any length that it tells, any public key. So what the engine makes of an answer is tried, with names in URIs,
 * in PKCS#8 files (pem.c) and by control commands.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"

#include <openssl/pem.h>

#include "key.h"
#include "module.h"
#include "pem.h"
#include "pkcs11.h"
#include "settings.h"

enum { NAME_MAX_SIZE = 512 };

static const uint8_t *at, *end; /* what is left of the input */

static uint8_t next(void)
{
    return at < end ? *at++ : 0;
}

/* --- the module ------------------------------------------------------------------------------ */

static const CK_RV errors[] = {
    CKR_GENERAL_ERROR, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_PIN_INCORRECT,
    CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_DATA_LEN_RANGE,
    CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE, CKR_BUFFER_TOO_SMALL, CKR_USER_ALREADY_LOGGED_IN, 0x80000123UL, ~0UL,
};

static CK_RV answer(void)
{
    uint8_t pick = next();

    return pick < 224 ? CKR_OK : errors[pick & 15];
}

static volatile uint8_t sink;

/* As the module would: so that the sanitizer sees each byte. */
static void read_all(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sink ^= ((const uint8_t *)bytes)[i];
}

/* A length that does not fit what is there, now and then. */
static CK_ULONG told(CK_ULONG size)
{
    uint8_t pick = next();

    return pick < 240 ? size : pick < 248 ? size + (pick & 7) : pick == 255 ? ~0UL : 65537;
}

/* Keys and a certificate that the token may have, in DER. */
static struct {
    unsigned char *bytes;
    size_t size;
} values[6];

static EVP_PKEY *own_keys[5];

static CK_RV initialize(void *arguments)
{
    (void)arguments;
    return answer();
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    return answer();
}

static void fill(void *memory, size_t size)
{
    uint8_t pick = next();
    uint8_t *bytes = memory;

    memset(bytes, pick & 1 ? ' ' : 0, size);
    for (size_t i = 0; i < size && i < (pick >> 4); i++)
        bytes[i] = next();
}

static CK_RV get_info(CK_INFO *info)
{
    fill(info, sizeof *info);
    return answer();
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    CK_ULONG there = next();

    (void)present;
    there = there < 224 ? 1 + (there & 3) / 3 : there & 7;
    for (CK_ULONG i = 0; slots != NULL && i < there && i < *count; i++)
        slots[i] = i;
    *count = told(there);
    return answer();
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    fill(info, sizeof *info);
    return answer();
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    static const char label[] = "HEM";

    fill(info, sizeof *info);
    if (next() & 1)
        memcpy(info->label, label, sizeof label - 1);
    info->label[31] = (unsigned char)('0' + slot % 10);
    info->flags = next() & 1 ? CKF_LOGIN_REQUIRED | CKF_PROTECTED_AUTHENTICATION_PATH : CKF_LOGIN_REQUIRED;
    return answer();
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, void *notify, CK_SESSION_HANDLE *session)
{
    (void)slot, (void)flags, (void)application, (void)notify;
    *session = next() ^ 1;
    return answer();
}

static CK_RV one_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return answer();
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG size)
{
    (void)session, (void)user;
    if (pin != NULL && strlen((const char *)pin) != size)
        abort();
    return answer();
}

static CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)session;
    for (CK_ULONG i = 0; i < count; i++)
        read_all(attributes[i].pValue, attributes[i].ulValueLen);
    return answer();
}

static CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG room, CK_ULONG *count)
{
    uint8_t pick = next();
    CK_ULONG found = pick < 160 ? pick & 1 : pick & 31;

    (void)session;
    *count = found < room ? found : room;
    for (CK_ULONG i = 0; i < *count; i++)
        objects[i] = 1 + (next() & 7);
    *count = told(*count);
    return answer();
}

static CK_RV destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    (void)session, (void)object;
    return answer();
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                                 CK_ULONG count)
{
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE *each = &attributes[i];
        uint8_t pick = next();
        const unsigned char *value = at;
        CK_ULONG size = (CK_ULONG)(end - at) < pick % 48UL ? (CK_ULONG)(end - at) : pick % 48UL;
        if (pick < 224 && (each->type == CKA_PUBLIC_KEY_INFO || each->type == CKA_VALUE)) {
            size_t which = (object + session + pick / 64) % (sizeof values / sizeof *values);
            value = values[which].bytes;
            size = values[which].size;
        }
        if (each->pValue != NULL && size <= each->ulValueLen && size > 0)
            memcpy(each->pValue, value, size);
        each->ulValueLen = told(size);
    }
    return answer();
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)session, (void)key;
    if (mechanism == NULL)
        abort();
    return answer();
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *room)
{
    uint8_t pick = next();
    CK_ULONG made = pick < 160 ? *room : pick;

    (void)session;
    read_all(data, size);
    memset(out, pick, made < *room ? made : *room);
    *room = told(made < *room ? made : *room);
    return answer();
}

static CK_RV derive_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                        CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *made)
{
    (void)session, (void)key;
    read_all(mechanism->pParameter, mechanism->ulParameterLen);
    for (CK_ULONG i = 0; i < count; i++)
        read_all(attributes[i].pValue, attributes[i].ulValueLen);
    *made = next();
    return answer();
}

static const CK_FUNCTION_LIST list = {
    .version = {2, 40},
    .C_Initialize = initialize,
    .C_Finalize = finalize,
    .C_GetInfo = get_info,
    .C_GetSlotList = get_slot_list,
    .C_GetSlotInfo = get_slot_info,
    .C_GetTokenInfo = get_token_info,
    .C_OpenSession = open_session,
    .C_CloseSession = one_session,
    .C_Login = login,
    .C_FindObjectsInit = find_objects_init,
    .C_FindObjects = find_objects,
    .C_FindObjectsFinal = one_session,
    .C_DestroyObject = destroy_object,
    .C_GetAttributeValue = get_attribute_value,
    .C_SignInit = sign_init,
    .C_Sign = sign,
    .C_DeriveKey = derive_key,
};

static CK_RV get_function_list(void **found)
{
    *found = (void *)&list;
    return answer();
}

/* The engine is compiled with these names in place of the C library's (build.py). */
void *fuzz_dlopen(const char *path, int flags);
void *fuzz_dlopen(const char *path, int flags)
{
    (void)path, (void)flags;
    return next() < 250 ? (void *)&list : NULL;
}

void *fuzz_dlsym(void *library, const char *name);
void *fuzz_dlsym(void *library, const char *name)
{
    (void)library, (void)name;
    return next() < 250 ? (void *)get_function_list : NULL;
}

char *fuzz_dlerror(void);
char *fuzz_dlerror(void)
{
    return (char *)"it is not there";
}

int fuzz_dlclose(void *library);
int fuzz_dlclose(void *library)
{
    (void)library;
    return 0;
}

/* --- what a host does ------------------------------------------------------------------------- */

int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *functions);
static ENGINE *engine;

static void use(EVP_PKEY *key)
{
    unsigned char message[64], made[1024];
    size_t size = sizeof made;
    uint8_t pick = next();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int type = EVP_PKEY_base_id(key);
    const EVP_MD *digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha1()};
    bool edwards = type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;

    memset(message, pick, sizeof message);
    if (context != NULL && EVP_DigestSignInit(context, NULL, edwards ? NULL : digests[pick & 3], NULL, key) > 0 &&
        EVP_DigestSign(context, made, &size, message, pick & 63) > 0 && size > sizeof made)
        abort();
    EVP_MD_CTX_free(context);
    EVP_PKEY_CTX *derivation = EVP_PKEY_CTX_new(key, NULL);
    EVP_PKEY *peer = own_keys[pick % 5];
    size = sizeof made;
    if (derivation != NULL && EVP_PKEY_derive_init(derivation) > 0 && EVP_PKEY_derive_set_peer(derivation, peer) > 0 &&
        EVP_PKEY_derive(derivation, NULL, &size) > 0 && size <= sizeof made &&
        EVP_PKEY_derive(derivation, made, &size) > 0 && size > sizeof made)
        abort();
    EVP_PKEY_CTX_free(derivation);
}

/* PKCS#8 of our algorithm with `name` for its key, as a file has it. */
static EVP_PKEY *from_file(const unsigned char *name, int size)
{
    PKCS8_PRIV_KEY_INFO *info = PKCS8_PRIV_KEY_INFO_new();
    unsigned char *copy = OPENSSL_malloc((size_t)size + 1);
    BIO *file = BIO_new(BIO_s_mem());
    EVP_PKEY *key = NULL;

    memcpy(copy, name, (size_t)size);
    if (PKCS8_pkey_set0(info, OBJ_nid2obj(hem_pem_type()), 0, V_ASN1_UNDEF, NULL, copy, size) &&
        PEM_write_bio_PKCS8_PRIV_KEY_INFO(file, info))
        key = PEM_read_bio_PrivateKey(file, NULL, NULL, (void *)"");
    BIO_free(file);
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static EVP_PKEY *from_text(const unsigned char *text, int size)
{
    BIO *file = BIO_new_mem_buf(text, size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, NULL, (void *)"");

    BIO_free(file);
    return key;
}

static void certificate(const char *name)
{
    struct {
        const char *name;
        X509 *certificate;
    } request = {name, NULL};

    ENGINE_ctrl_cmd(engine, "LOAD_CERT_CTRL", 0, &request, NULL, 0);
    X509_free(request.certificate);
}

static void command(const char *text)
{
    static const char *const names[] = {
        "MODULE_PATH", "PIN", "FORCE_LOGIN", "RE_ENUMERATE", "QUIET", "NO_SUCH", "LOAD_CERT_CTRL", "SET_CALLBACK_DATA",
    };
    const char *name = names[next() & 7];

    if (strcmp(name, "LOAD_CERT_CTRL") == 0 || strcmp(name, "SET_CALLBACK_DATA") == 0)
        ENGINE_ctrl_cmd(engine, name, 0, NULL, NULL, 0);
    else
        ENGINE_ctrl_cmd_string(engine, name, text, 0);
}

static void prepare_values(void)
{
    static const int types[] = {EVP_PKEY_ED25519, EVP_PKEY_X25519, EVP_PKEY_ED448};
    static const int curves[] = {NID_X9_62_prime256v1, NID_secp521r1};
    unsigned char raw[57] = {7};

    for (size_t i = 0; i < 3; i++)
        own_keys[i] = EVP_PKEY_new_raw_private_key(types[i], NULL, raw, i == 2 ? 57 : 32);
    for (size_t i = 0; i < 2; i++) {
        EC_KEY *ec = EC_KEY_new_by_curve_name(curves[i]);
        const EC_GROUP *group = EC_KEY_get0_group(ec);
        EC_POINT *point = EC_POINT_new(group);
        BIGNUM *number = BN_new();
        BN_set_word(number, 12345);
        EC_POINT_mul(group, point, number, NULL, NULL, NULL);
        EC_KEY_set_private_key(ec, number);
        EC_KEY_set_public_key(ec, point);
        own_keys[3 + i] = EVP_PKEY_new();
        EVP_PKEY_assign_EC_KEY(own_keys[3 + i], ec);
        EC_POINT_free(point);
        BN_free(number);
    }
    for (size_t i = 0; i < 5; i++)
        values[i].size = (size_t)i2d_PUBKEY(own_keys[i], &values[i].bytes);
    X509 *made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, own_keys[0]);
    X509_sign(made, own_keys[0], NULL);
    values[5].size = (size_t)i2d_X509(made, &values[5].bytes);
    X509_free(made);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    dynamic_fns functions = {.static_state = ENGINE_get_static_state()};

    (void)argc, (void)argv;
    prepare_values();
    engine = ENGINE_new();
    if (engine == NULL || !bind_engine(engine, "hem", &functions) || !ENGINE_init(engine)) {
        fputs("WRONG: the engine is not bound\n", stderr);
        abort();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[NAME_MAX_SIZE + 1];
    EVP_PKEY *key = NULL;

    at = data;
    end = data + size;
    for (int round = 0; round < 3 && at < end; round++) {
        uint8_t what = next();
        size_t length = 2 * (size_t)next();
        length = length < (size_t)(end - at) ? length : (size_t)(end - at);
        memcpy(name, at, length);
        name[length] = '\0';
        at += length;
        switch (what % 6) {
        case 0:
            key = ENGINE_load_private_key(engine, name, what & 64 ? (UI_METHOD *)UI_null() : NULL, NULL);
            break;
        case 1:
            key = ENGINE_load_public_key(engine, name, NULL, NULL);
            EVP_PKEY_free(key);
            key = NULL;
            break;
        case 2:
            certificate(name);
            break;
        case 3:
            key = from_file((const unsigned char *)name, (int)length);
            break;
        case 4:
            key = from_text((const unsigned char *)name, (int)length);
            break;
        default:
            command(name);
        }
        if (key != NULL)
            use(key);
        EVP_PKEY_free(key);
        key = NULL;
        ERR_clear_error();
    }
    at = end;
    hem_keys_forget();
    hem_module_close();
    hem_settings_clear();
    return 0;
}
