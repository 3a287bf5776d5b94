/* Keys and certificates of the token as OpenSSL's objects. */
#ifndef HEM_KEY_H
#define HEM_KEY_H

#include "compat.h"
#include "pin.h"
#include "pkcs11.h"

struct hem_key;

/* ENGINE_load_private_key() and ENGINE_load_public_key(): `name` as in uri.h. A private key is bound
 * to `engine`; a public key is an ordinary key of OpenSSL. */
EVP_PKEY *hem_key_load_private(ENGINE *engine, const char *name, UI_METHOD *method, void *data);
EVP_PKEY *hem_key_load_public(ENGINE *engine, const char *name, UI_METHOD *method, void *data);

/* The certificate called `name`; NULL with an error in the queue. */
X509 *hem_certificate_load(const char *name, const struct hem_asker *asker);

/* The key behind `pkey`, or NULL with an error in the queue when it was not loaded here. Stays until
 * hem_keys_forget(). */
struct hem_key *hem_key_of(EVP_PKEY *pkey);

/* An ordinary key of OpenSSL with the public half of `pkey`. */
EVP_PKEY *hem_key_public(EVP_PKEY *pkey);

/* Signs `message` by `mechanism`; *length is the room and then the length. Up to one repetition in a
 * new session. False with an error in the queue. */
bool hem_key_sign(struct hem_key *key, CK_MECHANISM mechanism, const unsigned char *message,
                  size_t message_length, unsigned char *signature, size_t *length);

/* The ECDH secret with the other side's `point` (uncompressed, or the 32 bytes of X25519), at most
 * *length bytes of it. */
bool hem_key_agree(struct hem_key *key, const unsigned char *point, size_t point_length,
                   unsigned char *secret, size_t *length);

/* Forgets all keys, tokens and PINs. No EVP_PKEY of ours may be in use. */
void hem_keys_forget(void);

#endif
