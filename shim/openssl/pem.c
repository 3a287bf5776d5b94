/* Files that name HEM keys.
 *
 * Some programs take no engine, or no engine's key: they call PEM_read_bio_PrivateKey(). In PKCS#8
 * OpenSSL goes by the algorithm, and algorithms can be added. Ours turns the fresh EVP_PKEY into a
 * bound EC key. Other types of key cannot be set from outside OpenSSL.
 */
#include "pem.h"

#include <string.h>

#include "errors.h"
#include "key.h"
#include "settings.h"

/* An arc that needs no registration: a UUID (ITU-T X.667). */
#define ALGORITHM "2.25.122430122048691160896791740829055947175"

enum { CONTENT_MAX = 4096 };

static ENGINE *engine;
static int type;
static bool registered;

static bool turn_into_ec(EVP_PKEY *pkey, EVP_PKEY *loaded)
{
    EC_KEY *ec = EVP_PKEY_id(loaded) == EVP_PKEY_EC ? EVP_PKEY_get1_EC_KEY(loaded) : NULL;
    bool done = false;

    if (ec == NULL)
        hem_error(HEM_R_KEY_TYPE, "files can name EC keys only; load other keys by the engine");
    else
        done = EVP_PKEY_set1_EC_KEY(pkey, ec) > 0 && EVP_PKEY_set1_engine(pkey, engine) > 0;
    EC_KEY_free(ec);
    return done;
}

/* OpenSSL's stores drop the errors of decoders when they have tried them all. */
static void trace_error(void)
{
    const char *file, *detail;
    int line, flags;
    unsigned long error = ERR_peek_last_error_line_data(&file, &line, &detail, &flags);
    const char *reason = ERR_reason_error_string(error);

    hem_trace("key file: %s: %s", reason == NULL ? "unknown" : reason,
              (flags & ERR_TXT_STRING) ? detail : "");
}

static int decode(EVP_PKEY *pkey, const PKCS8_PRIV_KEY_INFO *file)
{
    const unsigned char *content = NULL;
    char name[CONTENT_MAX + 1];
    int length = 0;

    if (!PKCS8_pkey_get0(NULL, &content, &length, NULL, file))
        return 0;
    if (engine == NULL || length <= 0 || length > CONTENT_MAX ||
        memchr(content, '\0', (size_t)length) != NULL) {
        hem_error(HEM_R_URI, "the file must hold the name of a key, of 1 to %d bytes", CONTENT_MAX);
        return 0;
    }
    memcpy(name, content, (size_t)length);
    name[length] = '\0';
    EVP_PKEY *loaded = hem_key_load_private(engine, name, NULL, NULL);
    OPENSSL_cleanse(name, sizeof name);
    bool done = loaded != NULL && turn_into_ec(pkey, loaded);
    EVP_PKEY_free(loaded);
    if (!done)
        trace_error();
    return done;
}

bool hem_pem_register(ENGINE *owner)
{
    engine = owner;
    type = OBJ_txt2nid(ALGORITHM);
    if (type == NID_undef)
        type = OBJ_create(ALGORITHM, "hemKeyName", "name of a key in an Encedo HEM");
    if (registered || type == NID_undef) /* OpenSSL never lets go of a type; we stay mapped for it */
        return type != NID_undef;
    EVP_PKEY_ASN1_METHOD *method = EVP_PKEY_asn1_new(type, 0, "HEM", "name of a key in an Encedo HEM");
    if (method == NULL)
        return false;
    EVP_PKEY_asn1_set_private(method, decode, NULL, NULL);
    registered = EVP_PKEY_asn1_add0(method) > 0;
    if (!registered)
        EVP_PKEY_asn1_free(method);
    return registered;
}

void hem_pem_forget(void)
{
    engine = NULL;
}

int hem_pem_type(void)
{
    return type;
}
