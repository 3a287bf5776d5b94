/* PINs: from the name of a key, from the PIN command, from a person. */
#define _GNU_SOURCE
#include "pin.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "errors.h"
#include "secret_file.h"
#include "settings.h"

enum { PIN_MAX = 255 };

void hem_pin_free(char *pin)
{
    if (pin != NULL)
        OPENSSL_clear_free(pin, strlen(pin) + 1);
}

char *hem_pin_from_file(const char *path)
{
    char content[PIN_MAX + 2] = "";
    char *pin = NULL;
    size_t used = 0;
    ssize_t got = 0;

    int file = hem_secret_file_open(path, "the PIN file");
    if (file < 0)
        return NULL;
    while (used < sizeof content - 1) {
        got = read(file, content + used, sizeof content - 1 - used);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    close(file);
    content[used] = '\0';
    size_t length = strcspn(content, "\r\n");
    if (got < 0)
        hem_error(HEM_R_PIN_NEEDED, "cannot read the PIN file '%.200s': %s", path, strerror(errno));
    else if (length == 0 || length > PIN_MAX)
        hem_error(HEM_R_PIN_NEEDED, "the first line of the PIN file '%.200s' must have 1 to %d bytes",
                  path, PIN_MAX);
    else
        pin = OPENSSL_strndup(content, length);
    OPENSSL_cleanse(content, sizeof content);
    return pin;
}

/* RFC 7512 §2.4 leaves the form of pin-source open: file:/path, file:///path or a plain path are
 * common. Programs ("|command") are not run. */
static char *from_source(const char *source)
{
    const char *path = source;

    if (strncasecmp(path, "file:", 5) == 0) {
        path += 5;
        if (strncmp(path, "//localhost/", 12) == 0)
            path += 11;
        else if (strncmp(path, "///", 3) == 0)
            path += 2;
    }
    if (*path != '/') {
        hem_error(HEM_R_URI, "pin-source '%.200s' must be file: and an absolute path", source);
        return NULL;
    }
    return hem_pin_from_file(path);
}

char *hem_pin_known(const struct hem_name *name, bool *failed)
{
    char *pin = NULL;

    *failed = false;
    if (name->pin_value.data != NULL)
        pin = OPENSSL_strdup((const char *)name->pin_value.data);
    else if (name->pin_source.data != NULL)
        pin = from_source((const char *)name->pin_source.data);
    else if (hem_settings.pin != NULL)
        pin = OPENSSL_strdup(hem_settings.pin);
    else
        return NULL;
    *failed = pin == NULL;
    return pin;
}

char *hem_pin_ask(const struct hem_asker *asker, const char *label)
{
    static const char hint[] =
        "give pin-value or pin-source in the URI, the PIN command, or a passphrase_file in the "
        "configuration of hem-provider";
    UI_METHOD *method = asker->method != NULL ? asker->method : hem_settings.ui_method;
    void *data = asker->method != NULL ? asker->data : hem_settings.ui_data;
    char answer[PIN_MAX + 1] = "";
    char *pin = NULL;

    if (method == NULL) {
        hem_error(HEM_R_PIN_NEEDED, "token '%s': this program does not ask for PINs; %s", label, hint);
        return NULL;
    }
    UI *ui = UI_new_method(method);
    char *prompt = ui == NULL ? NULL : UI_construct_prompt(ui, "PIN", label);
    if (prompt != NULL) {
        UI_add_user_data(ui, data);
        if (UI_dup_input_string(ui, prompt, UI_INPUT_FLAG_DEFAULT_PWD, answer, 1, PIN_MAX) > 0 &&
            UI_process(ui) == 0)
            pin = OPENSSL_strdup(answer);
    }
    OPENSSL_cleanse(answer, sizeof answer);
    OPENSSL_free(prompt);
    UI_free(ui);
    if (pin == NULL)
        hem_error(HEM_R_PIN_NEEDED, "token '%s': no PIN was entered; %s", label, hint);
    return pin;
}
