/* ECDH: the raw secret between our key and the other side's. */
#include <stdbool.h>

#include "errors.h"
#include "key.h"
#include "methods.h"

static size_t secret_size(EVP_PKEY *pkey)
{
    return ((size_t)EVP_PKEY_bits(pkey) + 7) / 8;
}

int hem_agree(EVP_PKEY_CTX *ctx, unsigned char *secret, size_t *length)
{
    EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(ctx);
    EVP_PKEY *peer = EVP_PKEY_CTX_get0_peerkey(ctx);
    size_t size = pkey == NULL ? 0 : secret_size(pkey);
    unsigned char *point = NULL;
    int done = 0;

    if (secret == NULL) {
        *length = size;
        return size != 0;
    }
    struct hem_key *key = hem_key_of(pkey);
    if (key == NULL)
        return 0;
    if (*length < size)
        size = *length;
    size_t point_length = peer == NULL ? 0 : EVP_PKEY_get1_tls_encodedpoint(peer, &point);
    if (point_length == 0)
        hem_error(HEM_R_USAGE, "the other side's public key is missing");
    else
        done = hem_key_agree(key, point, point_length, secret, &size);
    OPENSSL_free(point);
    *length = size;
    return done;
}

static int control(EVP_PKEY_CTX *ctx, int type, int number, void *pointer)
{
    (void)ctx;
    (void)number;
    (void)pointer;
    return type == EVP_PKEY_CTRL_PEER_KEY ? 1 : -2;
}

/* OpenSSL 3 checks a peer's key before it derives with it, and our key may be someone's peer. Any
 * bytes are a public key of X25519 and X448 (RFC 7748, 6). */
static int check_public(EVP_PKEY *pkey)
{
    (void)pkey;
    return 1;
}

EVP_PKEY_METHOD *hem_xdh_method(int nid)
{
    EVP_PKEY_METHOD *method = EVP_PKEY_meth_new(nid, 0);

    if (method != NULL) {
        EVP_PKEY_meth_set_derive(method, NULL, hem_agree);
        EVP_PKEY_meth_set_ctrl(method, control, NULL);
        EVP_PKEY_meth_set_public_check(method, check_public);
    }
    return method;
}
