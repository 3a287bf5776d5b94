/* What control commands set, for the whole process: one engine, one PKCS#11 module. */
#ifndef HEM_SETTINGS_H
#define HEM_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "compat.h"

struct hem_settings {
    char *module_path; /* NULL: see hem_module_path() */
    char *pin;
    UI_METHOD *ui_method;
    void *ui_data;
    bool verbose;
    bool force_login;
};

extern struct hem_settings hem_settings;

/* Puts a copy of `value` (NULL: nothing) in place of *setting, overwriting what was there. */
bool hem_settings_text(char **setting, const char *value);

/* Back to the defaults, secrets overwritten. */
void hem_settings_clear(void);

/* With VERBOSE: says a line on standard error. Never pass a secret. */
void hem_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
