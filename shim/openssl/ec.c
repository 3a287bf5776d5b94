/* ECDSA and ECDH with keys on prime curves.
 *
 * EVP_DigestSign*() would hash and hand us a digest. We take the bytes instead (update function,
 * EVP_MD_CTX_FLAG_NO_INIT) and have the device hash and sign. The bytes lie in the EVP_PKEY_CTX, so
 * that a duplicate, which EVP_DigestSignFinal() works on, has them as well.
 */
#include <stdbool.h>
#include <string.h>

#include "errors.h"
#include "key.h"
#include "methods.h"

enum { COORDINATE_MAX = 66 };

struct state {
    const EVP_MD *digest;
    size_t length; /* of the message so far; more than HEM_MESSAGE_MAX is counted, not kept */
    unsigned char *message;
    size_t room; /* bytes at `message` */
    /* X9.63 key derivation, which CMS wants: NULL for the raw secret */
    const EVP_MD *kdf_digest;
    int kdf;
    size_t kdf_length;
    unsigned char *ukm;
    size_t ukm_length;
};

static const struct {
    int digest;
    CK_MECHANISM_TYPE mechanism;
} mechanisms[] = {
    {NID_sha256, CKM_ECDSA_SHA256},
    {NID_sha384, CKM_ECDSA_SHA384},
    {NID_sha512, CKM_ECDSA_SHA512},
};

/* 0 with an error in the queue when the device does not have it. */
static CK_MECHANISM_TYPE mechanism_of(const EVP_MD *digest)
{
    int nid = digest == NULL ? NID_undef : EVP_MD_type(digest);

    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (mechanisms[i].digest == nid)
            return mechanisms[i].mechanism;
    hem_error(HEM_R_DIGEST_UNSUPPORTED, "%s; the device signs with SHA-256, SHA-384 and SHA-512",
              digest == NULL ? "none" : EVP_MD_name(digest));
    return 0;
}

/* --- state -------------------------------------------------------------------------------- */

static int init(EVP_PKEY_CTX *ctx)
{
    struct state *state = OPENSSL_zalloc(sizeof *state);

    if (state == NULL)
        return 0;
    state->kdf = EVP_PKEY_ECDH_KDF_NONE;
    EVP_PKEY_CTX_set_data(ctx, state);
    return 1;
}

static int copy(EVP_PKEY_CTX *to, const EVP_PKEY_CTX *from)
{
    const struct state *source = EVP_PKEY_CTX_get_data((EVP_PKEY_CTX *)from);
    struct state *state = OPENSSL_memdup(source, sizeof *source);

    if (state == NULL)
        return 0;
    if (source->ukm != NULL)
        state->ukm = OPENSSL_memdup(source->ukm, source->ukm_length);
    if (source->message != NULL)
        state->message = OPENSSL_memdup(source->message, source->room);
    if ((source->ukm != NULL && state->ukm == NULL) ||
        (source->message != NULL && state->message == NULL)) {
        OPENSSL_free(state->ukm);
        OPENSSL_clear_free(state->message, state->room);
        OPENSSL_free(state);
        return 0;
    }
    EVP_PKEY_CTX_set_data(to, state);
    return 1;
}

static void cleanup(EVP_PKEY_CTX *ctx)
{
    struct state *state = EVP_PKEY_CTX_get_data(ctx);

    if (state == NULL)
        return;
    OPENSSL_free(state->ukm);
    OPENSSL_clear_free(state->message, state->room);
    OPENSSL_clear_free(state, sizeof *state);
    EVP_PKEY_CTX_set_data(ctx, NULL);
}

/* --- signing ------------------------------------------------------------------------------ */

static bool make_room(struct state *state, size_t needed)
{
    size_t room = state->room < 512 ? 1024 : 2 * state->room;
    unsigned char *message;

    if (needed <= state->room)
        return true;
    if (room < needed)
        room = needed;
    message = OPENSSL_clear_realloc(state->message, state->room, room);
    if (message == NULL)
        return false;
    state->message = message;
    state->room = room;
    return true;
}

static int collect(EVP_MD_CTX *ctx, const void *data, size_t count)
{
    struct state *state = EVP_PKEY_CTX_get_data(EVP_MD_CTX_pkey_ctx(ctx));

    if (count > 0 && state->length <= HEM_MESSAGE_MAX &&
        count <= HEM_MESSAGE_MAX - state->length) {
        if (!make_room(state, state->length + count)) {
            hem_error(HEM_R_MEMORY, "a message of %zu bytes", state->length + count);
            return 0;
        }
        memcpy(state->message + state->length, data, count);
    }
    state->length = count > SIZE_MAX - state->length ? SIZE_MAX : state->length + count;
    return 1;
}

static int sign_init(EVP_PKEY_CTX *ctx, EVP_MD_CTX *digest_ctx)
{
    struct state *state = EVP_PKEY_CTX_get_data(ctx);

    state->length = 0;
    EVP_MD_CTX_set_flags(digest_ctx, EVP_MD_CTX_FLAG_NO_INIT);
    EVP_MD_CTX_set_update_fn(digest_ctx, collect);
    return 1;
}

/* PKCS #11 gives r and s side by side; OpenSSL wants SEQUENCE { r, s } in DER. */
static int to_der(const unsigned char *raw, size_t raw_length, unsigned char *der, size_t *length)
{
    size_t half = raw_length / 2;
    BIGNUM *r = BN_bin2bn(raw, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(raw + half, (int)half, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int size = -1;

    if (r != NULL && s != NULL && pair != NULL && ECDSA_SIG_set0(pair, r, s)) {
        r = s = NULL;
        size = i2d_ECDSA_SIG(pair, NULL);
        if (size > 0 && (size_t)size <= *length) {
            *length = (size_t)i2d_ECDSA_SIG(pair, &der);
        } else {
            hem_error(HEM_R_ROOM, "room for %zu bytes; the signature has %d", *length, size);
            size = -1;
        }
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return size > 0;
}

static int sign_message(EVP_PKEY_CTX *ctx, unsigned char *signature, size_t *length,
                        EVP_MD_CTX *digest_ctx)
{
    struct state *state = EVP_PKEY_CTX_get_data(ctx);
    EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(ctx);
    unsigned char raw[2 * COORDINATE_MAX];
    size_t raw_length = sizeof raw;

    (void)digest_ctx;
    if (signature == NULL) {
        *length = (size_t)EVP_PKEY_size(pkey);
        return 1;
    }
    CK_MECHANISM_TYPE mechanism = mechanism_of(state->digest);
    struct hem_key *key = hem_key_of(pkey);
    if (mechanism == 0 || key == NULL || !hem_message_length_fits(state->length))
        return 0;
    return hem_key_sign(key, (CK_MECHANISM){mechanism, NULL, 0}, state->message, state->length, raw,
                        &raw_length) &&
           to_der(raw, raw_length, signature, length);
}

static int sign_digest(EVP_PKEY_CTX *ctx, unsigned char *signature, size_t *length,
                       const unsigned char *digest, size_t digest_length)
{
    (void)ctx;
    (void)signature;
    (void)length;
    (void)digest;
    hem_error(HEM_R_DIGEST_ONLY,
              "%zu bytes; the device hashes by itself and needs the message: use EVP_DigestSign, "
              "'openssl dgst -sign', 'pkeyutl -sign -rawin -digest sha256', CMS with signed attributes",
              digest_length);
    return 0;
}

/* Verifying is OpenSSL's own work, with an ordinary public key. */
static int verify(EVP_PKEY_CTX *ctx, const unsigned char *signature, size_t length,
                  const unsigned char *digest, size_t digest_length)
{
    const struct state *state = EVP_PKEY_CTX_get_data(ctx);
    EVP_PKEY *public = hem_key_public(EVP_PKEY_CTX_get0_pkey(ctx));
    EVP_PKEY_CTX *plain = public == NULL ? NULL : EVP_PKEY_CTX_new(public, NULL);
    int good = 0;

    if (plain != NULL && EVP_PKEY_verify_init(plain) > 0 &&
        (state->digest == NULL || EVP_PKEY_CTX_set_signature_md(plain, state->digest) > 0))
        good = EVP_PKEY_verify(plain, signature, length, digest, digest_length);
    EVP_PKEY_CTX_free(plain);
    EVP_PKEY_free(public);
    return good;
}

/* --- key agreement ------------------------------------------------------------------------ */

static int derive(EVP_PKEY_CTX *ctx, unsigned char *secret, size_t *length)
{
    const struct state *state = EVP_PKEY_CTX_get_data(ctx);
    unsigned char raw[COORDINATE_MAX];
    size_t raw_length = sizeof raw;
    int done = 0;

    if (state->kdf == EVP_PKEY_ECDH_KDF_NONE)
        return hem_agree(ctx, secret, length);
    if (secret == NULL) {
        *length = state->kdf_length;
        return 1;
    }
    if (*length != state->kdf_length || state->kdf_digest == NULL) {
        hem_error(HEM_R_USAGE, "key derivation needs a digest, and room for %zu bytes, not %zu",
                  state->kdf_length, *length);
        return 0;
    }
    if (hem_agree(ctx, raw, &raw_length))
        done = ECDH_KDF_X9_62(secret, *length, raw, raw_length, state->ukm, state->ukm_length,
                              state->kdf_digest);
    OPENSSL_cleanse(raw, sizeof raw);
    return done;
}

static int control_kdf(struct state *state, int type, int number, void *pointer)
{
    switch (type) {
    case EVP_PKEY_CTRL_EC_ECDH_COFACTOR:
        return number == -2 ? 0 : 1; /* the cofactor of our curves is 1 */
    case EVP_PKEY_CTRL_EC_KDF_TYPE:
        if (number == -2)
            return state->kdf;
        if (number != EVP_PKEY_ECDH_KDF_NONE && number != EVP_PKEY_ECDH_KDF_X9_63)
            return -2;
        state->kdf = number;
        return 1;
    case EVP_PKEY_CTRL_EC_KDF_MD:
        state->kdf_digest = pointer;
        return 1;
    case EVP_PKEY_CTRL_GET_EC_KDF_MD:
        *(const EVP_MD **)pointer = state->kdf_digest;
        return 1;
    case EVP_PKEY_CTRL_EC_KDF_OUTLEN:
        if (number <= 0)
            return -2;
        state->kdf_length = (size_t)number;
        return 1;
    case EVP_PKEY_CTRL_GET_EC_KDF_OUTLEN:
        *(int *)pointer = (int)state->kdf_length;
        return 1;
    case EVP_PKEY_CTRL_EC_KDF_UKM:
        OPENSSL_free(state->ukm);
        state->ukm = pointer;
        state->ukm_length = pointer == NULL ? 0 : (size_t)number;
        return 1;
    case EVP_PKEY_CTRL_GET_EC_KDF_UKM:
        *(unsigned char **)pointer = state->ukm;
        return (int)state->ukm_length;
    default:
        return -2;
    }
}

static int control(EVP_PKEY_CTX *ctx, int type, int number, void *pointer)
{
    struct state *state = EVP_PKEY_CTX_get_data(ctx);

    switch (type) {
    case EVP_PKEY_CTRL_MD:
        if (mechanism_of(pointer) == 0)
            return 0;
        state->digest = pointer;
        return 1;
    case EVP_PKEY_CTRL_GET_MD:
        *(const EVP_MD **)pointer = state->digest;
        return 1;
    case EVP_PKEY_CTRL_DIGESTINIT:
    case EVP_PKEY_CTRL_PKCS7_SIGN:
    case EVP_PKEY_CTRL_CMS_SIGN:
    case EVP_PKEY_CTRL_PEER_KEY:
        return 1;
    default:
        return control_kdf(state, type, number, pointer);
    }
}

/* EVP_PKEY_FLAG_SIGCTX_CUSTOM is not set: with it no digest is kept in the EVP_MD_CTX, and X.509
 * signing stops with "context not initialised". */
EVP_PKEY_METHOD *hem_ec_method(void)
{
    EVP_PKEY_METHOD *method = EVP_PKEY_meth_new(EVP_PKEY_EC, 0);

    if (method != NULL) {
        EVP_PKEY_meth_set_init(method, init);
        EVP_PKEY_meth_set_copy(method, copy);
        EVP_PKEY_meth_set_cleanup(method, cleanup);
        EVP_PKEY_meth_set_signctx(method, sign_init, sign_message);
        EVP_PKEY_meth_set_sign(method, NULL, sign_digest);
        EVP_PKEY_meth_set_verify(method, NULL, verify);
        EVP_PKEY_meth_set_derive(method, NULL, derive);
        EVP_PKEY_meth_set_ctrl(method, control, NULL);
    }
    return method;
}
