/* The engine's settings and its trace. */
#include "settings.h"

#include <stdarg.h>
#include <string.h>

struct hem_settings hem_settings;

bool hem_settings_text(char **setting, const char *value)
{
    char *copy = NULL;

    if (value != NULL && (copy = OPENSSL_strdup(value)) == NULL)
        return false;
    if (*setting != NULL)
        OPENSSL_clear_free(*setting, strlen(*setting));
    *setting = copy;
    return true;
}

void hem_settings_clear(void)
{
    hem_settings_text(&hem_settings.module_path, NULL);
    hem_settings_text(&hem_settings.pin, NULL);
    memset(&hem_settings, 0, sizeof hem_settings);
}

void hem_trace(const char *format, ...)
{
    char line[1024];
    va_list arguments;

    if (!hem_settings.verbose)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "hem engine: %s\n", line);
}
