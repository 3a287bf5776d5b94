/* RFC 7512: pk11-URI = "pkcs11:" pk11-path [ "?" pk11-query ]. Needs nothing but the C library.
 *
 * Programs and their users have learned from libp11, whose engine id we answer to as well: what its
 * engine accepts, ours does. It knows no difference between path and query, takes any character as it
 * stands, a separator at the end, and the names that were before there were URIs: slot_N-label_TEXT,
 * slot_N-id_HEX, label_TEXT, id_HEX, N:HEX. */
#define _GNU_SOURCE
#include "uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sizes.h"

enum { TEXT_MAX = 4096, SCHEME_LENGTH = sizeof "pkcs11:" - 1 };

static const struct attribute {
    const char *name;
    size_t place;
} attributes[] = {
    {"token", offsetof(struct hem_name, token)},
    {"manufacturer", offsetof(struct hem_name, manufacturer)},
    {"model", offsetof(struct hem_name, model)},
    {"serial", offsetof(struct hem_name, serial)},
    {"slot-id", offsetof(struct hem_name, slot_id)},
    {"slot-description", offsetof(struct hem_name, slot_description)},
    {"slot-manufacturer", offsetof(struct hem_name, slot_manufacturer)},
    {"library-description", offsetof(struct hem_name, library_description)},
    {"library-manufacturer", offsetof(struct hem_name, library_manufacturer)},
    {"library-version", offsetof(struct hem_name, library_version)},
    {"object", offsetof(struct hem_name, object)},
    {"id", offsetof(struct hem_name, id)},
    {"type", offsetof(struct hem_name, type)},
    {"object-type", offsetof(struct hem_name, type)},
    {"pin-value", offsetof(struct hem_name, pin_value)},
    {"pin-source", offsetof(struct hem_name, pin_source)},
    {"module-name", offsetof(struct hem_name, module_name)},
    {"module-path", offsetof(struct hem_name, module_path)},
};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

static struct hem_text *text_of(struct hem_name *name, const struct attribute *attribute)
{
    return (struct hem_text *)((char *)name + attribute->place);
}

static const struct attribute *attribute_named(const char *start, size_t length)
{
    for (size_t i = 0; i < ATTRIBUTES; i++)
        if (strlen(attributes[i].name) == length && memcmp(attributes[i].name, start, length) == 0)
            return &attributes[i];
    return NULL;
}

static int hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    if (found == NULL)
        return -1;
    return found - digits < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

static bool copy(struct hem_text *text, const char *start, size_t length)
{
    text->data = malloc(length + 1);
    if (text->data == NULL)
        return false;
    memcpy(text->data, start, length);
    text->data[length] = '\0';
    text->length = length;
    return true;
}

/* Decodes a value; returns the place of what is wrong, or NULL. */
static const char *decode(struct hem_text *text, const char *start, size_t length)
{
    size_t used = 0;

    if (!copy(text, start, length))
        return start;
    for (size_t i = 0; i < length; i++) {
        if (start[i] == '%') {
            if (length - i < 3 || hex_digit(start[i + 1]) < 0 || hex_digit(start[i + 2]) < 0)
                return start + i;
            text->data[used++] =
                (unsigned char)(hex_digit(start[i + 1]) << 4 | hex_digit(start[i + 2]));
            i += 2;
        } else {
            text->data[used++] = (unsigned char)start[i];
        }
    }
    explicit_bzero(text->data + used, length - used + 1); /* decoding shortens; this may be a PIN */
    text->length = used;
    return NULL;
}

/* Text attributes end up in C strings and messages. */
static bool holds_nul(const struct hem_text *text)
{
    return memchr(text->data, '\0', text->length) != NULL;
}

/* One "name=value" of the path or the query. */
static bool parse_attribute(struct hem_name *name, const char *uri, const char *start,
                            size_t length, bool query, char *problem, size_t problem_size)
{
    const char *equals = memchr(start, '=', length);
    size_t name_length = equals == NULL ? length : (size_t)(equals - start);
    const struct attribute *attribute = attribute_named(start, name_length);
    int shown = name_length > 40 ? 40 : (int)name_length;

    if (equals == NULL || name_length == 0) {
        snprintf(problem, problem_size, "at character %zu, name=value is wanted",
                 (size_t)(start - uri) + 1);
        return false;
    }
    if (attribute == NULL) {
        if (query)
            return true; /* §2.3: what a consumer does not know in the query, it ignores */
        snprintf(problem, problem_size, "'%.*s' is no attribute of a URI's path", shown, start);
        return false;
    }
    struct hem_text *text = text_of(name, attribute);
    if (text->data != NULL) {
        snprintf(problem, problem_size, "'%s' is given twice", attribute->name);
        return false;
    }
    const char *value = equals + 1;
    const char *wrong = decode(text, value, length - name_length - 1);
    if (wrong != NULL) {
        snprintf(problem, problem_size,
                 "the value of '%s' has a broken %%XX at character %zu; a %% itself is %%25",
                 attribute->name, (size_t)(wrong - uri) + 1);
        return false;
    }
    if (text != &name->id && holds_nul(text)) {
        snprintf(problem, problem_size, "the value of '%s' has a NUL", attribute->name);
        return false;
    }
    return true;
}

/* The attributes between `start` and `end`; an empty path or query has none. The RFC allows '&' in
 * values of the path, and no ';' in the query. */
static bool parse_list(struct hem_name *name, const char *uri, const char *start, const char *end,
                       bool query, char *problem, size_t problem_size)
{
    while (start < end) {
        size_t length = strcspn(start, query ? "&;" : ";");
        const char *stop = start + length < end ? start + length : end;
        if (!parse_attribute(name, uri, start, (size_t)(stop - start), query, problem, problem_size))
            return false;
        start = stop + 1;
    }
    return true;
}

static bool check_values(const struct hem_name *name, char *problem, size_t problem_size)
{
    static const char *const types[] = {"public", "private", "cert", "secret-key", "data"};
    const char *slot = (const char *)name->slot_id.data;

    if (name->type.data != NULL) {
        bool known = false;
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            known = known || strcmp((const char *)name->type.data, types[i]) == 0;
        if (!known) {
            snprintf(problem, problem_size,
                     "'type' must be public, private, cert, secret-key or data");
            return false;
        }
    }
    if (slot != NULL &&
        (*slot == '\0' || strlen(slot) > 18 || strspn(slot, "0123456789") != strlen(slot))) {
        snprintf(problem, problem_size, "'slot-id' must be a decimal number");
        return false;
    }
    if (name->pin_value.data != NULL && name->pin_source.data != NULL) {
        snprintf(problem, problem_size, "'pin-value' and 'pin-source' cannot both be given");
        return false;
    }
    return true;
}

static bool parse_uri(const char *text, struct hem_name *name, char *problem, size_t problem_size)
{
    const char *path = text + SCHEME_LENGTH;
    const char *end = text + strlen(text);
    const char *mark = strchr(path, '?');

    name->kind = HEM_NAME_URI;
    if (!parse_list(name, text, path, mark == NULL ? end : mark, false, problem, problem_size))
        return false;
    if (mark != NULL && !parse_list(name, text, mark + 1, end, true, problem, problem_size))
        return false;
    return check_values(name, problem, problem_size);
}

/* Hexadecimal digits to the end, two for each byte of an id; an odd one at the end stands alone. */
static bool parse_hex(struct hem_text *id, const char *digits)
{
    size_t length = strlen(digits);

    if (length == 0 || strspn(digits, "0123456789abcdefABCDEF") != length || !copy(id, digits, length))
        return false;
    id->length = 0;
    for (size_t i = 0; i < length; i += 2) {
        int low = i + 1 < length ? hex_digit(digits[i + 1]) : -1;
        int high = hex_digit(digits[i]);
        id->data[id->length++] = (unsigned char)(low < 0 ? high : high << 4 | low);
    }
    id->data[id->length] = '\0';
    return true;
}

/* The names before URIs. False, and nothing taken, for anything else. */
static bool parse_old_name(const char *text, struct hem_name *name)
{
    static const char slot_prefix[] = "slot_";
    bool prefixed = strncmp(text, slot_prefix, sizeof slot_prefix - 1) == 0;
    const char *number = prefixed ? text + sizeof slot_prefix - 1 : text;
    size_t digits = strspn(number, "0123456789");
    const char *rest = number + digits;
    bool slot = digits > 0 && digits <= 18 && *rest == (prefixed ? '-' : ':');
    bool taken = false;

    if (prefixed && digits > 0 && digits <= 18 && *rest == '\0')
        return copy(&name->slot_id, number, digits);
    if (prefixed && !slot)
        return false;
    const char *what = slot ? rest + 1 : text;
    if (slot && !prefixed)
        taken = *what == '\0' || parse_hex(&name->id, what);
    else if (strncmp(what, "id_", 3) == 0)
        taken = parse_hex(&name->id, what + 3);
    else if (strncmp(what, "label_", 6) == 0 && what[6] != '\0')
        taken = copy(&name->object, what + 6, strlen(what + 6));
    if (taken && slot)
        taken = copy(&name->slot_id, number, digits);
    if (!taken)
        hem_name_clear(name);
    return taken;
}

bool hem_name_parse(const char *text, struct hem_name *name, char *problem, size_t problem_size)
{
    memset(name, 0, sizeof *name);
    if (text == NULL || *text == '\0') {
        snprintf(problem, problem_size, "it is empty");
        return false;
    }
    if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX) {
        snprintf(problem, problem_size, "it is longer than %d bytes", TEXT_MAX);
        return false;
    }
    if (strncasecmp(text, "pkcs11:", SCHEME_LENGTH) == 0) {
        if (parse_uri(text, name, problem, problem_size))
            return true;
        hem_name_clear(name);
        return false;
    }
    if (parse_old_name(text, name)) {
        name->kind = HEM_NAME_URI;
        return true;
    }
    bool kid = strlen(text) == HEM_KID_DIGITS;
    for (const char *each = text; kid && *each != '\0'; each++)
        kid = hex_digit(*each) >= 0;
    name->kind = kid ? HEM_NAME_KID : HEM_NAME_LABEL;
    if (copy(&name->object, text, strlen(text)))
        return true;
    snprintf(problem, problem_size, "there is no memory for it");
    return false;
}

void hem_name_clear(struct hem_name *name)
{
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        struct hem_text *text = text_of(name, &attributes[i]);
        if (text->data != NULL)
            explicit_bzero(text->data, text->length);
        free(text->data);
        text->data = NULL; /* two attributes may be one text */
    }
    memset(name, 0, sizeof *name);
}
