/* The engine's names of keys: uri.c alone. The rest of an input is parsed again with one byte changed, since what
 * is kept of one name must not show in the next. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "uri.h"

static void refuse(const char *what)
{
    fprintf(stderr, "WRONG: %s\n", what);
    abort();
}

/* What a parsed name promises: text that ends with a NUL after `length` bytes, and none within but in an id. */
static void check(const struct hem_name *name)
{
    const struct hem_text *first = &name->token;

    for (const struct hem_text *text = first; text <= &name->module_path; text++) {
        if (text->data == NULL)
            continue;
        if (text->data[text->length] != '\0')
            refuse("a value does not end with a NUL");
        if (text != &name->id && strlen((const char *)text->data) != text->length)
            refuse("a text has a NUL");
    }
    if (name->pin_value.data != NULL && name->pin_source.data != NULL)
        refuse("both pin-value and pin-source");
    if (name->slot_id.data != NULL && (name->slot_id.length > 18 || name->slot_id.length == 0))
        refuse("a slot's number of no digits, or of more than 18");
}

static void parse(const char *text)
{
    struct hem_name name;
    char problem[160];

    memset(problem, 'x', sizeof problem);
    bool good = hem_name_parse(text, &name, problem, sizeof problem);
    if (good)
        check(&name);
    else if (memchr(problem, '\0', sizeof problem) == NULL || *problem == '\0')
        refuse("no reason is given");
    const char *pin = strstr(text, "pin-value=");
    if (!good && pin != NULL && strlen(pin) >= 18 && strncmp(text, "pkcs11:", 7) == 0) {
        char secret[9];
        snprintf(secret, sizeof secret, "%.8s", pin + 10);
        /* Digits, which are no words of ours, and stand nowhere else in the name. */
        if (strspn(secret, "0123456789") == 8 && strstr(text, secret) == pin + 10 && strchr(":;?&", pin[-1]) != NULL &&
            strstr(problem, secret) != NULL)
            refuse("a PIN is in the message");
    }
    if (good)
        hem_name_clear(&name);
    for (const struct hem_text *each = &name.token; each <= &name.module_path; each++)
        if (each->data != NULL)
            refuse("something is left of a name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    parse(text);
    free(text);
    return 0;
}
