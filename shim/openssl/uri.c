/* RFC 7512: pk11-URI = "pkcs11:" pk11-path [ "?" pk11-query ]. Needs nothing but the C library. */
#define _GNU_SOURCE
#include "uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 4096, SCHEME_LENGTH = sizeof "pkcs11:" - 1, KID_DIGITS = 32 };

static const struct attribute {
    const char *name;
    bool query;
    size_t place;
} attributes[] = {
    {"token", false, offsetof(struct hem_name, token)},
    {"manufacturer", false, offsetof(struct hem_name, manufacturer)},
    {"model", false, offsetof(struct hem_name, model)},
    {"serial", false, offsetof(struct hem_name, serial)},
    {"slot-id", false, offsetof(struct hem_name, slot_id)},
    {"slot-description", false, offsetof(struct hem_name, slot_description)},
    {"slot-manufacturer", false, offsetof(struct hem_name, slot_manufacturer)},
    {"library-description", false, offsetof(struct hem_name, library_description)},
    {"library-manufacturer", false, offsetof(struct hem_name, library_manufacturer)},
    {"library-version", false, offsetof(struct hem_name, library_version)},
    {"object", false, offsetof(struct hem_name, object)},
    {"id", false, offsetof(struct hem_name, id)},
    {"type", false, offsetof(struct hem_name, type)},
    {"pin-value", true, offsetof(struct hem_name, pin_value)},
    {"pin-source", true, offsetof(struct hem_name, pin_source)},
    {"module-name", true, offsetof(struct hem_name, module_name)},
    {"module-path", true, offsetof(struct hem_name, module_path)},
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

/* §2.3 allows these unescaped in a value, "/" in the query only; letters and digits apart. We also
 * take "/" in the path, where it is unambiguous. */
static bool allowed(char c, bool query)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr(query ? "-._~:[]@!$'()*+,=/?|" : "-._~:[]@!$'()*+,=&/", c) != NULL;
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
static const char *decode(struct hem_text *text, const char *start, size_t length, bool query)
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
        } else if (allowed(start[i], query)) {
            text->data[used++] = (unsigned char)start[i];
        } else {
            return start + i;
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
    if (attribute == NULL || attribute->query != query) {
        if (query && attribute == NULL)
            return true; /* §2.3: what a consumer does not know in the query, it ignores */
        snprintf(problem, problem_size, "'%.*s' is no attribute of a URI's %s%s", shown, start,
                 query ? "query" : "path",
                 attribute == NULL ? "" : query ? "; put it before the '?'" : "; put it after the '?'");
        return false;
    }
    struct hem_text *text = text_of(name, attribute);
    if (text->data != NULL) {
        snprintf(problem, problem_size, "'%s' is given twice", attribute->name);
        return false;
    }
    const char *value = equals + 1;
    const char *wrong = decode(text, value, length - name_length - 1, query);
    if (wrong != NULL) {
        snprintf(problem, problem_size,
                 "the value of '%s' has a character that must be written as %%XX, or a broken %%XX, "
                 "at character %zu",
                 attribute->name, (size_t)(wrong - uri) + 1);
        return false;
    }
    if (text != &name->id && holds_nul(text)) {
        snprintf(problem, problem_size, "the value of '%s' has a NUL", attribute->name);
        return false;
    }
    return true;
}

/* The attributes between `start` and `end`; an empty path or query has none. */
static bool parse_list(struct hem_name *name, const char *uri, const char *start, const char *end,
                       bool query, char *problem, size_t problem_size)
{
    const char separator = query ? '&' : ';';

    if (start == end)
        return true;
    for (;;) {
        const char *next = memchr(start, separator, (size_t)(end - start));
        const char *stop = next == NULL ? end : next;
        if (!parse_attribute(name, uri, start, (size_t)(stop - start), query, problem,
                             problem_size))
            return false;
        if (next == NULL)
            return true;
        start = next + 1;
    }
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
    bool kid = strlen(text) == KID_DIGITS;
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
    }
    memset(name, 0, sizeof *name);
}
