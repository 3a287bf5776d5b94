/* Names of keys and certificates: RFC 7512 URIs, the device's key ids, labels. */
#ifndef HEM_URI_H
#define HEM_URI_H

#include <stdbool.h>
#include <stddef.h>

/* A decoded attribute value; `data` is NULL when the name does not have it, and otherwise ends with
 * a NUL that `length` does not count. */
struct hem_text {
    unsigned char *data;
    size_t length;
};

enum hem_name_kind {
    HEM_NAME_URI,   /* pkcs11:… */
    HEM_NAME_KID,   /* 32 hexadecimal digits: the device's key id (or, failing that, a label) */
    HEM_NAME_LABEL, /* anything else: a label as it stands */
};

struct hem_name {
    enum hem_name_kind kind;
    /* Path attributes (RFC 7512 §2.3) */
    struct hem_text token, manufacturer, model, serial;
    struct hem_text slot_id, slot_description, slot_manufacturer;
    struct hem_text library_description, library_manufacturer, library_version;
    struct hem_text object, id, type;
    /* Query attributes */
    struct hem_text pin_value, pin_source, module_name, module_path;
};

/* Parses `text` into `name`, which need not be initialised and must be given to hem_name_clear()
 * after success. On failure returns false with a message in `problem` that names attribute and
 * place, never a PIN. */
bool hem_name_parse(const char *text, struct hem_name *name, char *problem, size_t problem_size);

/* Overwrites and frees. */
void hem_name_clear(struct hem_name *name);

#endif
