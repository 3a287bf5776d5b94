/* One of each: what a program may ask of the module at any time, also long after it has changed its
 * root directory or given up its rights. `host.c` calls it. */
#include <stdio.h>
#include <string.h>

#include "cryptoki.h"
#include "operations.h"

enum { /* positions in the function list */
    LOGIN = 18, LOGOUT = 19, CREATE = 20, COPY = 21, DESTROY = 22, GET_ATTRIBUTES = 24, SET_ATTRIBUTES = 25,
    FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, ENCRYPT_INIT = 29, ENCRYPT = 30, DECRYPT_INIT = 33, DECRYPT = 34,
    DIGEST_INIT = 37, DIGEST = 38, SIGN_INIT = 42, SIGN = 43, VERIFY_INIT = 48, VERIFY = 49, GENERATE_KEY = 58,
    GENERATE_PAIR = 59, WRAP = 60, UNWRAP = 61, DERIVE = 62, RANDOM = 64, GET_STATE = 16,
};

typedef CK_RV (*function)();

static const function *call;
static CK_ULONG session;
static unsigned char buffer[4096];
static CK_ULONG room;
static CK_BBOOL yes = 1, no = 0;
static CK_ULONG secret = 4, aes = 0x1F, generic = 0x10, size = 32;
static unsigned char p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};

#define CALL(position) (call[position])
#define COUNT(list) (sizeof(list) / sizeof *(list))
#define STEP(made)                                                                                 \
    do {                                                                                           \
        room = sizeof buffer;                                                                      \
        CK_RV rv_ = (made);                                                                        \
        if (rv_ != CKR_OK) {                                                                       \
            fprintf(stderr, "operations: %s: %#lx\n", #made, rv_);                                 \
            return rv_;                                                                            \
        }                                                                                          \
    } while (0)

static CK_RV find(CK_ULONG class, CK_ULONG *found)
{
    CK_ATTRIBUTE template[] = {{0x000, &class, sizeof class}, {0x003, "hosted", 6}};
    CK_ULONG count = 0;

    STEP(CALL(FIND_INIT)(session, template, 2UL));
    STEP(CALL(FIND)(session, found, 1UL, &count));
    STEP(CALL(FIND_FINAL)(session));
    return count == 1 ? CKR_OK : 0x60;
}

static CK_RV signatures(void)
{
    const CK_ULONG kinds[] = {0x1044, 0x1045, 0x1046}; /* ECDSA with SHA-256, -384, -512 */
    CK_ULONG private, public;
    unsigned char made[256];

    STEP(find(3, &private));
    STEP(find(2, &public));
    for (size_t i = 0; i < COUNT(kinds); i++) {
        CK_MECHANISM mechanism = {kinds[i], NULL, 0};
        CK_ULONG length = sizeof made;
        STEP(CALL(SIGN_INIT)(session, &mechanism, private));
        STEP(CALL(SIGN)(session, "data", 4UL, made, &length));
        STEP(CALL(VERIFY_INIT)(session, &mechanism, public));
        STEP(CALL(VERIFY)(session, "data", 4UL, made, length));
    }
    const CK_ULONG wanted[] = {0x180, 0x181, 0x129, 0x102, 0x110, 0x111};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        CK_ATTRIBUTE attribute = {wanted[i], buffer, sizeof buffer};
        CK_RV rv = CALL(GET_ATTRIBUTES)(session, public, &attribute, 1UL);
        if (rv != CKR_OK && rv != 0x12) /* CKR_ATTRIBUTE_TYPE_INVALID */
            return rv;
    }
    return CKR_OK;
}

static CK_RV encrypt_and_decrypt(CK_ULONG key, CK_ULONG type, void *parameter, CK_ULONG length)
{
    CK_MECHANISM mechanism = {type, parameter, length};
    unsigned char sealed[256], opened[256];
    CK_ULONG sealed_length = sizeof sealed, opened_length = sizeof opened;

    STEP(CALL(ENCRYPT_INIT)(session, &mechanism, key));
    STEP(CALL(ENCRYPT)(session, "0123456789abcdef", 16UL, sealed, &sealed_length));
    STEP(CALL(DECRYPT_INIT)(session, &mechanism, key));
    STEP(CALL(DECRYPT)(session, sealed, sealed_length, opened, &opened_length));
    return opened_length == 16 && memcmp(opened, "0123456789abcdef", 16) == 0 ? CKR_OK : 0xBAD;
}

static CK_RV ciphers(CK_ULONG key)
{
    unsigned char iv[16] = {0};
    struct {
        unsigned char *iv;
        CK_ULONG iv_length, iv_bits;
        unsigned char *associated;
        CK_ULONG associated_length, tag_bits;
    } gcm = {iv, 12, 96, (unsigned char *)"aad", 3, 128};
    struct {
        CK_ULONG bits;
        unsigned char block[16];
    } counter = {128, {0}};

    STEP(encrypt_and_decrypt(key, 0x1081, NULL, 0));               /* ECB */
    STEP(encrypt_and_decrypt(key, 0x1082, iv, 16));                /* CBC */
    STEP(encrypt_and_decrypt(key, 0x1085, iv, 16));                /* CBC with padding */
    STEP(encrypt_and_decrypt(key, 0x1086, &counter, sizeof counter)); /* CTR */
    STEP(encrypt_and_decrypt(key, 0x1087, &gcm, sizeof gcm));      /* GCM */
    return CKR_OK;
}

static CK_RV mac(CK_ULONG type, CK_ULONG key)
{
    CK_MECHANISM mechanism = {type, NULL, 0};

    STEP(CALL(SIGN_INIT)(session, &mechanism, key));
    STEP(CALL(SIGN)(session, "data", 4UL, buffer, &room));
    return CKR_OK;
}

static CK_RV secret_keys(void)
{
    CK_ATTRIBUTE template[] = {
        {0x161, &size, sizeof size}, {0x001, &no, 1}, {0x162, &yes, 1}, {0x103, &no, 1}, {0x104, &yes, 1},
        {0x105, &yes, 1}, {0x106, &yes, 1}, {0x107, &yes, 1}, {0x108, &yes, 1}, {0x10A, &yes, 1},
    };
    CK_ATTRIBUTE for_macs[] = {
        {0x161, &size, sizeof size}, {0x001, &no, 1}, {0x162, &yes, 1}, {0x103, &no, 1}, {0x108, &yes, 1},
        {0x10A, &yes, 1},
    };
    CK_MECHANISM make_aes = {0x1080, NULL, 0}, make_generic = {0x350, NULL, 0}, wrap = {0x2109, NULL, 0};
    CK_ATTRIBUTE unwrapped[] = {{0x000, &secret, sizeof secret}, {0x100, &aes, sizeof aes}, {0x001, &no, 1}};
    CK_ULONG key, other, again;
    unsigned char wrapped[64];
    CK_ULONG wrapped_length = sizeof wrapped;

    STEP(CALL(GENERATE_KEY)(session, &make_aes, template, (CK_ULONG)COUNT(template), &key));
    STEP(ciphers(key));
    STEP(mac(0x108A, key)); /* CMAC */
    STEP(CALL(GENERATE_KEY)(session, &make_generic, for_macs, (CK_ULONG)COUNT(for_macs), &other));
    STEP(mac(0x251, other)); /* HMAC of SHA-256 */
    STEP(CALL(WRAP)(session, &wrap, key, other, wrapped, &wrapped_length));
    STEP(CALL(UNWRAP)(session, &wrap, key, wrapped, wrapped_length, unwrapped, 3UL, &again));
    STEP(CALL(DESTROY)(session, again));
    STEP(CALL(DESTROY)(session, other));
    STEP(CALL(DESTROY)(session, key));
    return CKR_OK;
}

static CK_RV agreement(void)
{
    CK_MECHANISM make = {0x1040, NULL, 0};
    CK_ATTRIBUTE public_part[] = {{0x180, p256, sizeof p256}, {0x001, &no, 1}};
    CK_ATTRIBUTE private_part[] = {{0x001, &no, 1}, {0x10C, &yes, 1}};
    CK_ULONG public, private, derived;
    unsigned char point[100];
    CK_ATTRIBUTE value = {0x181, point, sizeof point};

    STEP(CALL(GENERATE_PAIR)(session, &make, public_part, 2UL, private_part, 2UL, &public, &private));
    STEP(CALL(GET_ATTRIBUTES)(session, public, &value, 1UL));
    struct {
        CK_ULONG kdf, shared_length;
        void *shared;
        CK_ULONG length;
        unsigned char *point;
    } parameters = {1, 0, NULL, value.ulValueLen, point};
    CK_MECHANISM derive = {0x1050, &parameters, sizeof parameters};
    CK_ATTRIBUTE made[] = {
        {0x000, &secret, sizeof secret}, {0x100, &generic, sizeof generic}, {0x161, &size, sizeof size},
        {0x001, &no, 1}, {0x162, &yes, 1}, {0x103, &no, 1},
    };
    STEP(CALL(DERIVE)(session, &derive, private, made, (CK_ULONG)COUNT(made), &derived));
    STEP(CALL(DESTROY)(session, derived));
    STEP(CALL(DESTROY)(session, private));
    return CKR_OK;
}

static CK_RV the_rest(void)
{
    CK_MECHANISM sha512 = {0x270, NULL, 0};
    CK_ULONG data = 0, object, copy;
    CK_ATTRIBUTE template[] = {{0x000, &data, sizeof data}, {0x001, &no, 1}, {0x011, "x", 1}, {0x003, "a", 1}};
    CK_ATTRIBUTE label = {0x003, "b", 1};

    STEP(CALL(DIGEST_INIT)(session, &sha512));
    STEP(CALL(GET_STATE)(session, buffer, &room));
    STEP(CALL(DIGEST)(session, "abc", 3UL, buffer, &room));
    STEP(CALL(RANDOM)(session, buffer, 64UL));
    STEP(CALL(CREATE)(session, template, 4UL, &object));
    STEP(CALL(COPY)(session, object, &label, 1UL, &copy));
    STEP(CALL(SET_ATTRIBUTES)(session, copy, &label, 1UL));
    STEP(CALL(DESTROY)(session, copy));
    STEP(CALL(DESTROY)(session, object));
    return CKR_OK;
}

static CK_RV log_in(const char *pin)
{
    return CALL(LOGIN)(session, 1UL, pin, (CK_ULONG)strlen(pin));
}

CK_RV all_operations(const void *functions, CK_ULONG in_session, const char *pin)
{
    call = functions;
    session = in_session;
    STEP(signatures());
    STEP(secret_keys());
    STEP(agreement());
    STEP(the_rest());
    STEP(CALL(LOGOUT)(session));
    CK_RV wrong = log_in("not this one");
    if (wrong != 0xA0) { /* CKR_PIN_INCORRECT */
        fprintf(stderr, "operations: a wrong PIN: %#lx\n", wrong);
        return 0xBAD;
    }
    STEP(log_in(pin));
    STEP(signatures());
    return CKR_OK;
}
