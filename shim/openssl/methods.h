/* What OpenSSL does with our keys: one EVP_PKEY_METHOD for each type. */
#ifndef HEM_METHODS_H
#define HEM_METHODS_H

#include "compat.h"
#include "sizes.h"

/* ENGINE_set_pkey_meths(). */
int hem_methods(ENGINE *engine, EVP_PKEY_METHOD **method, const int **nids, int nid);

bool hem_methods_create(void);
void hem_methods_free(void);

/* Each returns a new method, NULL without memory. */
EVP_PKEY_METHOD *hem_ec_method(void);
EVP_PKEY_METHOD *hem_eddsa_method(int nid);
EVP_PKEY_METHOD *hem_xdh_method(int nid);

/* Refuses a message of 0 or more than HEM_MESSAGE_MAX bytes, with an error in the queue. */
bool hem_message_length_fits(size_t length);

/* EVP_PKEY_derive(): the raw secret of ctx's key and peer. `secret` NULL asks for the size. */
int hem_agree(EVP_PKEY_CTX *ctx, unsigned char *secret, size_t *length);

#endif
