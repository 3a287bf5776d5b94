/* Ed25519 and Ed448: signatures over the whole message, in one call. */
#include <stdbool.h>

#include "errors.h"
#include "key.h"
#include "methods.h"

static int sign(EVP_MD_CTX *ctx, unsigned char *signature, size_t *length,
                const unsigned char *message, size_t message_length)
{
    EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_pkey_ctx(ctx));
    size_t size = (size_t)EVP_PKEY_size(pkey);

    if (signature == NULL) {
        *length = size;
        return 1;
    }
    struct hem_key *key = hem_key_of(pkey);
    if (key == NULL || !hem_message_length_fits(message_length))
        return 0;
    if (*length < size) {
        hem_error(HEM_R_ROOM, "room for %zu bytes; a signature has %zu", *length, size);
        return 0;
    }
    *length = size;
    /* Pure Ed25519 is said by no parameter, Ed448 by one that is empty (6.3.15). */
    CK_EDDSA_PARAMS empty = {0, 0, NULL};
    CK_MECHANISM mechanism = {CKM_EDDSA, NULL, 0};
    if (EVP_PKEY_id(pkey) == EVP_PKEY_ED448) {
        mechanism.pParameter = &empty;
        mechanism.ulParameterLen = sizeof empty;
    }
    return hem_key_sign(key, mechanism, message, message_length, signature, length);
}

/* Verifying is OpenSSL's own work, with an ordinary public key. */
static int verify(EVP_MD_CTX *ctx, const unsigned char *signature, size_t length,
                  const unsigned char *message, size_t message_length)
{
    EVP_PKEY *public = hem_key_public(EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_pkey_ctx(ctx)));
    EVP_MD_CTX *plain = EVP_MD_CTX_new();
    int good = 0;

    if (public != NULL && plain != NULL &&
        EVP_DigestVerifyInit(plain, NULL, NULL, NULL, public) > 0)
        good = EVP_DigestVerify(plain, signature, length, message, message_length);
    EVP_MD_CTX_free(plain);
    EVP_PKEY_free(public);
    return good;
}

static int control(EVP_PKEY_CTX *ctx, int type, int number, void *pointer)
{
    (void)ctx;
    (void)number;
    switch (type) {
    case EVP_PKEY_CTRL_MD:
        if (pointer == NULL || pointer == EVP_md_null())
            return 1;
        hem_error(HEM_R_DIGEST_UNSUPPORTED, "%s: Ed25519 and Ed448 take the message without a digest",
                  EVP_MD_name(pointer));
        return 0;
    case EVP_PKEY_CTRL_DIGESTINIT:
        return 1;
    default:
        return -2;
    }
}

EVP_PKEY_METHOD *hem_eddsa_method(int nid)
{
    EVP_PKEY_METHOD *method = EVP_PKEY_meth_new(nid, EVP_PKEY_FLAG_SIGCTX_CUSTOM);

    if (method != NULL) {
        EVP_PKEY_meth_set_digestsign(method, sign);
        EVP_PKEY_meth_set_digestverify(method, verify);
        EVP_PKEY_meth_set_ctrl(method, control, NULL);
    }
    return method;
}
