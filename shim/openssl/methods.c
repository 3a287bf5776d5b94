/* The table of methods, and what the types share. */
#include <stdbool.h>

#include "methods.h"

#include "errors.h"
#include "key.h"
#include "pem.h"

static EVP_PKEY_METHOD *make_ed25519(void) { return hem_eddsa_method(EVP_PKEY_ED25519); }
static EVP_PKEY_METHOD *make_ed448(void) { return hem_eddsa_method(EVP_PKEY_ED448); }
static EVP_PKEY_METHOD *make_x25519(void) { return hem_xdh_method(EVP_PKEY_X25519); }
static EVP_PKEY_METHOD *make_x448(void) { return hem_xdh_method(EVP_PKEY_X448); }

static struct {
    int nid;
    EVP_PKEY_METHOD *(*make)(void);
    EVP_PKEY_METHOD *method;
} methods[] = {
    {EVP_PKEY_EC, hem_ec_method, NULL},      {EVP_PKEY_ED25519, make_ed25519, NULL},
    {EVP_PKEY_ED448, make_ed448, NULL},      {EVP_PKEY_X25519, make_x25519, NULL},
    {EVP_PKEY_X448, make_x448, NULL},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* What we tell OpenSSL to use this engine for by default: a type that no key has.
 *
 * ENGINE_set_default() makes an engine the default for the types it lists, for every key in the
 * process: peers', ephemeral and software keys too. Our keys are bound to the engine one by one, so
 * nothing needs to be listed, and other keys never come here. But something must be: with an empty
 * list ENGINE_set_default() would not initialise the engine, and hosts that do no more than that
 * (nginx's ssl_engine) could not load keys.
 */
static int default_for[1];

int hem_methods(ENGINE *engine, EVP_PKEY_METHOD **method, const int **nids, int nid)
{
    (void)engine;
    if (method == NULL) {
        default_for[0] = hem_pem_type();
        *nids = default_for;
        return 1;
    }
    *method = NULL;
    for (size_t i = 0; i < METHODS; i++)
        if (methods[i].nid == nid)
            *method = methods[i].method;
    return *method != NULL;
}

bool hem_methods_create(void)
{
    for (size_t i = 0; i < METHODS; i++)
        if (methods[i].method == NULL && (methods[i].method = methods[i].make()) == NULL)
            return false;
    return true;
}

void hem_methods_free(void)
{
    for (size_t i = 0; i < METHODS; i++) {
        EVP_PKEY_meth_free(methods[i].method);
        methods[i].method = NULL;
    }
}

bool hem_message_length_fits(size_t length)
{
    if (length >= 1 && length <= HEM_MESSAGE_MAX)
        return true;
    hem_error_message_length(length);
    return false;
}
