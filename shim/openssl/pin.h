/* Where a PIN comes from. */
#ifndef HEM_PIN_H
#define HEM_PIN_H

#include <stdbool.h>

#include "compat.h"
#include "uri.h"

/* How a host lets us ask people; both may be NULL. */
struct hem_asker {
    UI_METHOD *method;
    void *data;
};

/* The PIN in a file that nobody else may read or write, and that holds nothing else: the rules of
 * hem_provider's passphrase_file. NULL with an error in the queue. Free with hem_pin_free(). */
char *hem_pin_from_file(const char *path);

/* The PIN that `name` brings along, else the one of the PIN command, else NULL. An error (a
 * pin-source that cannot be read) also sets *failed. */
char *hem_pin_known(const struct hem_name *name, bool *failed);

/* Asks for the PIN of the token called `label`. NULL with an error in the queue. */
char *hem_pin_ask(const struct hem_asker *asker, const char *label);

/* Overwrites and frees; NULL is fine. */
void hem_pin_free(char *pin);

#endif
