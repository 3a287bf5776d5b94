/* Reads names of keys, one a line as hexadecimal bytes, and prints what hem_name_parse() makes of
 * each: "problem TEXT", or "kind N" with name=hex for each attribute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uri.h"

static void show(const char *label, const struct hem_text *text)
{
    if (text->data == NULL)
        return;
    printf(" %s=", label);
    for (size_t i = 0; i < text->length; i++)
        printf("%02x", text->data[i]);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t got;

    while ((got = getline(&line, &room, stdin)) > 0) {
        size_t length = (size_t)(got - 1) / 2;
        char *text = malloc(length + 1); /* exactly as long, so that the sanitizer sees overruns */
        struct hem_name name;
        char problem[160];

        for (size_t i = 0; i < length; i++) {
            unsigned byte;
            sscanf(line + 2 * i, "%2x", &byte);
            text[i] = (char)byte;
        }
        text[length] = '\0';
        if (hem_name_parse(text, &name, problem, sizeof problem)) {
            printf("kind %d", name.kind);
            show("token", &name.token);
            show("manufacturer", &name.manufacturer);
            show("model", &name.model);
            show("serial", &name.serial);
            show("slot-id", &name.slot_id);
            show("slot-description", &name.slot_description);
            show("slot-manufacturer", &name.slot_manufacturer);
            show("library-description", &name.library_description);
            show("library-manufacturer", &name.library_manufacturer);
            show("library-version", &name.library_version);
            show("object", &name.object);
            show("id", &name.id);
            show("type", &name.type);
            show("pin-value", &name.pin_value);
            show("pin-source", &name.pin_source);
            show("module-name", &name.module_name);
            show("module-path", &name.module_path);
            printf("\n");
            hem_name_clear(&name);
        } else {
            printf("problem %s\n", problem);
        }
        fflush(stdout);
        free(text);
    }
    free(line);
    return 0;
}
