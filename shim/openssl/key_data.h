/* A key as its two halves know it: loading (key.c) and using (key_use.c). */
#ifndef HEM_KEY_DATA_H
#define HEM_KEY_DATA_H

#include "key.h"
#include "token.h"

struct hem_key {
    struct hem_key *next;
    struct hem_token *token;
    char text[200]; /* for messages */
    unsigned char *info; /* SubjectPublicKeyInfo, DER, as OpenSSL encodes it */
    int info_length;
    unsigned char *id;
    size_t id_length;
    CK_OBJECT_HANDLE handle;
    unsigned generation; /* of the token, when `handle` was found */
};

/* The public half of an object of the token; NULL with an error in the queue. */
EVP_PKEY *hem_key_read_public(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const char *text);

#endif
