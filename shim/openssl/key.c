/* Loading keys, and remembering which EVP_PKEY stands for which object of the token.
 *
 * A loaded key is OpenSSL's own EVP_PKEY with the public half, bound to this engine. What stands
 * behind it is found by the public key: that works in every version and survives duplication,
 * forks and new sessions. Handles are looked up again whenever they may be stale.
 */
#include "key_data.h"

#include <string.h>

#include "errors.h"
#include "find.h"
#include "module.h"
#include "settings.h"

static struct hem_key *keys;

static struct hem_key *remembered(const unsigned char *info, int length)
{
    for (struct hem_key *key = keys; key != NULL; key = key->next)
        if (key->info_length == length && memcmp(key->info, info, (size_t)length) == 0)
            return key;
    return NULL;
}

struct hem_key *hem_key_of(EVP_PKEY *pkey)
{
    unsigned char *info = NULL;
    int length = pkey == NULL ? -1 : i2d_PUBKEY(pkey, &info);

    hem_lock();
    struct hem_key *key = length > 0 ? remembered(info, length) : NULL;
    hem_unlock();
    OPENSSL_free(info);
    if (key == NULL)
        hem_error(HEM_R_FOREIGN_KEY, "it was not loaded by engine 'hem'; let OpenSSL use it without "
                                     "an engine");
    return key;
}

EVP_PKEY *hem_key_public(EVP_PKEY *pkey)
{
    unsigned char *info = NULL;
    int length = i2d_PUBKEY(pkey, &info);
    const unsigned char *next = info;
    EVP_PKEY *copy = length > 0 ? d2i_PUBKEY(NULL, &next, length) : NULL;

    OPENSSL_free(info);
    return copy;
}

/* --- loading ------------------------------------------------------------------------------ */

EVP_PKEY *hem_key_read_public(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const char *text)
{
    size_t length = 0;
    unsigned char *info = hem_token_value(session, object, CKA_PUBLIC_KEY_INFO, &length);
    const unsigned char *next = info;
    EVP_PKEY *key = length > 0 ? d2i_PUBKEY(NULL, &next, (long)length) : NULL;

    OPENSSL_free(info);
    if (key == NULL)
        hem_error(HEM_R_KEY_TYPE, "%s: this OpenSSL cannot read its public key", text);
    return key;
}

/* The legacy form of a key that is bound to the engine from the start (the engine's methods take
 * keys of these types only). */
static EVP_PKEY *bound_raw(ENGINE *engine, EVP_PKEY *key)
{
    unsigned char raw[64];
    size_t length = sizeof raw;

    if (EVP_PKEY_get_raw_public_key(key, raw, &length) <= 0)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_id(key), engine, raw, length);
}

static EVP_PKEY *bound_ec(ENGINE *engine, EVP_PKEY *key)
{
    EC_KEY *ec = EVP_PKEY_get1_EC_KEY(key);
    EVP_PKEY *bound = EVP_PKEY_new();

    if (ec == NULL || bound == NULL || EVP_PKEY_set1_EC_KEY(bound, ec) <= 0 ||
        EVP_PKEY_set1_engine(bound, engine) <= 0) {
        EVP_PKEY_free(bound);
        bound = NULL;
    }
    EC_KEY_free(ec);
    return bound;
}

static EVP_PKEY *bound_key(ENGINE *engine, EVP_PKEY *key, const char *text)
{
    EVP_PKEY *bound = NULL;

    switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_EC:
        bound = bound_ec(engine, key);
        break;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
    case EVP_PKEY_X25519:
    case EVP_PKEY_X448:
        bound = bound_raw(engine, key);
        break;
    default:
        break;
    }
    if (bound == NULL)
        hem_error(HEM_R_KEY_TYPE, "%s: keys of this type cannot be used through an engine", text);
    return bound;
}

/* Adds the key to the list, or refreshes what is there: loading a key again costs no memory. */
static bool remember(EVP_PKEY *pkey, struct hem_token *token, CK_SESSION_HANDLE session,
                     CK_OBJECT_HANDLE object, const char *text)
{
    unsigned char *info = NULL;
    int length = i2d_PUBKEY(pkey, &info);
    struct hem_key *key = length > 0 ? remembered(info, length) : NULL;

    if (key != NULL || length <= 0) {
        OPENSSL_free(info);
    } else {
        key = OPENSSL_zalloc(sizeof *key);
        if (key == NULL) {
            OPENSSL_free(info);
        } else {
            key->info = info;
            key->info_length = length;
            key->next = keys;
            keys = key;
        }
    }
    if (key == NULL) {
        hem_error(HEM_R_MEMORY, "%s", text);
        return false;
    }
    OPENSSL_free(key->id);
    key->id_length = 0;
    key->id = hem_token_value(session, object, CKA_ID, &key->id_length);
    key->token = token;
    key->handle = object;
    key->generation = hem_token_generation(token);
    snprintf(key->text, sizeof key->text, "%s", text);
    return true;
}

/* What loading a key and loading a certificate begin with. */
struct loaded {
    struct hem_token *token;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    char text[200];
};

static bool find_in_token(const struct hem_name *name, const struct hem_asker *asker,
                          CK_ULONG class, struct loaded *loaded)
{
    bool failed;
    char *pin = hem_pin_known(name, &failed);

    if (!failed && (loaded->token = hem_token_find(name)) != NULL) {
        loaded->session =
            hem_token_session(loaded->token, class == CKO_PRIVATE_KEY, pin, asker);
        if (loaded->session != 0)
            loaded->object =
                hem_find_one(loaded->token, loaded->session, name, class, loaded->text);
    }
    hem_pin_free(pin);
    return loaded->object != 0;
}

static bool find_object(const char *text, const struct hem_asker *asker, CK_ULONG class,
                        struct loaded *loaded)
{
    struct hem_name name;
    char problem[160];
    bool found;

    memset(loaded, 0, sizeof *loaded);
    if (!hem_name_parse(text, &name, problem, sizeof problem)) {
        hem_error(HEM_R_URI, "%s", problem);
        return false;
    }
    hem_find_describe(text, loaded->text, sizeof loaded->text);
    found = hem_find_type_fits(&name, class, loaded->text) &&
            find_in_token(&name, asker, class, loaded);
    hem_name_clear(&name);
    if (found)
        hem_trace("found %s on '%s'", loaded->text, hem_token_label(loaded->token));
    return found;
}

EVP_PKEY *hem_key_load_private(ENGINE *engine, const char *name, UI_METHOD *method, void *data)
{
    const struct hem_asker asker = {method, data};
    struct loaded loaded;
    EVP_PKEY *key = NULL, *bound = NULL;

    hem_lock();
    if (find_object(name, &asker, CKO_PRIVATE_KEY, &loaded))
        key = hem_key_read_public(loaded.session, loaded.object, loaded.text);
    if (key != NULL)
        bound = bound_key(engine, key, loaded.text);
    if (bound != NULL &&
        !remember(bound, loaded.token, loaded.session, loaded.object, loaded.text)) {
        EVP_PKEY_free(bound);
        bound = NULL;
    }
    hem_unlock();
    EVP_PKEY_free(key);
    return bound;
}

EVP_PKEY *hem_key_load_public(ENGINE *engine, const char *name, UI_METHOD *method, void *data)
{
    const struct hem_asker asker = {method, data};
    struct loaded loaded;
    EVP_PKEY *key = NULL;

    (void)engine;
    hem_lock();
    if (find_object(name, &asker, CKO_PUBLIC_KEY, &loaded))
        key = hem_key_read_public(loaded.session, loaded.object, loaded.text);
    hem_unlock();
    return key;
}

X509 *hem_certificate_load(const char *name, const struct hem_asker *asker)
{
    struct loaded loaded;
    size_t length = 0;
    unsigned char *value = NULL;

    hem_lock();
    bool found = find_object(name, asker, CKO_CERTIFICATE, &loaded);
    if (found)
        value = hem_token_value(loaded.session, loaded.object, CKA_VALUE, &length);
    hem_unlock();
    const unsigned char *next = value;
    X509 *certificate = length > 0 ? d2i_X509(NULL, &next, (long)length) : NULL;
    OPENSSL_free(value);
    if (found && certificate == NULL)
        hem_error(HEM_R_KEY_TYPE, "%s: not an X.509 certificate", loaded.text);
    return certificate;
}

void hem_keys_forget(void)
{
    hem_lock();
    while (keys != NULL) {
        struct hem_key *key = keys;
        keys = key->next;
        OPENSSL_free(key->info);
        OPENSSL_free(key->id);
        OPENSSL_free(key);
    }
    hem_tokens_forget();
    hem_unlock();
}
