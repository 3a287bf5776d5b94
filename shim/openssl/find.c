/* From a name to an object of the token. */
#include "find.h"

#include <string.h>

#include "compat.h"
#include "errors.h"

enum { SHOWN = 4 };

static const struct kind {
    CK_ULONG class;
    const char *words;
    const char *types; /* of RFC 7512, each between blanks */
} kinds[] = {
    {CKO_PRIVATE_KEY, "private key", " private "},
    /* The public half of a key pair is often asked for by the name of the private one. */
    {CKO_PUBLIC_KEY, "public key", " public private "},
    {CKO_CERTIFICATE, "certificate", " cert "},
};

static const struct kind *kind_of(CK_ULONG class)
{
    const struct kind *kind = kinds;

    while (kind->class != class)
        kind++;
    return kind;
}

void hem_find_describe(const char *name, char *text, size_t size)
{
    bool uri = strncasecmp(name, "pkcs11:", 7) == 0;

    snprintf(text, size, "'%.*s'", uri ? (int)strcspn(name, "?") : (int)strlen(name), name);
}

bool hem_find_type_fits(const struct hem_name *name, CK_ULONG class, const char *text)
{
    const struct kind *kind = kind_of(class);
    char wanted[16];

    if (name->type.data == NULL)
        return true;
    snprintf(wanted, sizeof wanted, " %s ", (const char *)name->type.data);
    if (strstr(kind->types, wanted) != NULL)
        return true;
    hem_error(HEM_R_URI, "%.300s: a %s is wanted here, and the URI says type=%s", text, kind->words,
              (const char *)name->type.data);
    return false;
}

/* For "more than one matches": the first few, each by what tells it apart. */
static void list_objects(CK_SESSION_HANDLE session, const CK_OBJECT_HANDLE *objects, CK_ULONG count,
                         char *text, size_t size)
{
    *text = '\0';
    for (CK_ULONG i = 0; i < count && i < SHOWN; i++) {
        size_t id_length = 0, label_length = 0, used = strlen(text);
        unsigned char *id = hem_token_value(session, objects[i], CKA_ID, &id_length);
        unsigned char *label = hem_token_value(session, objects[i], CKA_LABEL, &label_length);
        snprintf(text + used, size - used, "%sobject=%.32s;id=", i == 0 ? "" : ", ",
                 label == NULL ? "" : (const char *)label);
        for (size_t j = 0; j < id_length && j < 40; j++) {
            used = strlen(text);
            snprintf(text + used, size - used, "%%%02x", id[j]);
        }
        OPENSSL_free(id);
        OPENSSL_free(label);
    }
    if (count > SHOWN)
        snprintf(text + strlen(text), size - strlen(text), ", …");
}

static bool search(struct hem_token *token, CK_SESSION_HANDLE session, CK_ULONG class,
                   CK_ULONG type, const struct hem_text *value, CK_ULONG other_type,
                   const struct hem_text *other, CK_OBJECT_HANDLE *found, CK_ULONG *count)
{
    CK_ATTRIBUTE template[3] = {{CKA_CLASS, &class, sizeof class}};
    CK_ULONG used = 1;

    if (value != NULL && value->data != NULL)
        template[used++] = (CK_ATTRIBUTE){type, value->data, value->length};
    if (other != NULL && other->data != NULL)
        template[used++] = (CK_ATTRIBUTE){other_type, other->data, other->length};
    return hem_token_search(token, session, template, used, found, SHOWN + 1, count);
}

CK_OBJECT_HANDLE hem_find_one(struct hem_token *token, CK_SESSION_HANDLE session,
                              const struct hem_name *name, CK_ULONG class, const char *text)
{
    CK_OBJECT_HANDLE found[SHOWN + 1];
    CK_ULONG count = 0;
    char listed[700];
    const char *words = kind_of(class)->words;

    if (name->kind == HEM_NAME_URI) {
        if (!search(token, session, class, CKA_ID, &name->id, CKA_LABEL, &name->object, found,
                    &count))
            return 0;
    } else {
        if (name->kind == HEM_NAME_KID &&
            !search(token, session, class, CKA_UNIQUE_ID, &name->object, 0, NULL, found, &count))
            return 0;
        if (count == 0 && !search(token, session, class, CKA_LABEL, &name->object, 0, NULL, found,
                                  &count))
            return 0;
    }
    if (count == 1)
        return found[0];
    if (count == 0) {
        hem_error(HEM_R_NOT_FOUND, "no %s %.300s on token '%s' ('pkcs11-tool -O' lists what is there)",
                  words, text, hem_token_label(token));
        return 0;
    }
    list_objects(session, found, count, listed, sizeof listed);
    hem_error(HEM_R_AMBIGUOUS, "%.200s is the %s of several objects on token '%s': %s; use id=… in a URI",
              text, words, hem_token_label(token), listed);
    return 0;
}
