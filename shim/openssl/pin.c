/* PINs: from the name of a key, from the PIN command, from a person. */
#define _GNU_SOURCE
#include "pin.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/asn1.h>

#include "errors.h"
#include "secret_file.h"
#include "settings.h"
#include "sizes.h"

void hem_pin_free(char *pin)
{
    if (pin != NULL)
        OPENSSL_clear_free(pin, strlen(pin) + 1);
}

static bool is_utf8(const char *text, size_t length)
{
    unsigned long character;

    while (length > 0) {
        int size = UTF8_getc((const unsigned char *)text, (int)length, &character);
        if (size <= 0)
            return false;
        text += size;
        length -= (size_t)size;
    }
    return true;
}

/* What is wrong with the content of a PIN file whose line end is gone, or NULL: the rules of
 * hem_provider/config/passphrase.py, and those of a PIN and of a C string. */
static const char *wrong_with(const char *content, size_t length)
{
    if (length > 0 && strpbrk(content, "\r\n") != NULL)
        return "has more than one line; accepted: the PIN alone, on one line";
    if (length == 0 || length > HEM_PIN_MAX)
        return "must have 1 to " HEM_TEXT(HEM_PIN_MAX) " bytes";
    if (strlen(content) != length)
        return "has a NUL byte";
    if (!is_utf8(content, length))
        return "is not UTF-8 text";
    if (strncmp(content, "\xef\xbb\xbf", 3) == 0)
        return "begins with a byte order mark, which an editor put there; save it as UTF-8 without one";
    return NULL;
}

char *hem_pin_from_file(const char *path)
{
    char content[HEM_PIN_MAX + 4] = ""; /* a PIN, its line end, and one byte that is too many */
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
    if (used > 0 && content[used - 1] == '\n')
        content[--used] = '\0';
    if (used > 0 && content[used - 1] == '\r')
        content[--used] = '\0';
    const char *wrong = wrong_with(content, used);
    if (got < 0)
        hem_error(HEM_R_PIN_NEEDED, "cannot read the PIN file '%.200s': %s", path, strerror(errno));
    else if (wrong != NULL)
        hem_error(HEM_R_PIN_NEEDED, "the PIN file '%.200s' %s", path, wrong);
    else
        pin = OPENSSL_strndup(content, used);
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
        "give pin-value or pin-source in the URI, the PIN command, or in the configuration of hem-provider "
        "passphrase_file, passphrase_command or auth = \"mobile\"";
    UI_METHOD *method = asker->method != NULL ? asker->method : hem_settings.ui_method;
    void *data = asker->method != NULL ? asker->data : hem_settings.ui_data;
    char answer[HEM_PIN_MAX + 1] = "";
    char *pin = NULL;

    if (method == NULL) {
        hem_error(HEM_R_PIN_NEEDED, "token '%s': this program does not ask for PINs; %s", label, hint);
        return NULL;
    }
    UI *ui = UI_new_method(method);
    char *prompt = ui == NULL ? NULL : UI_construct_prompt(ui, "PIN", label);
    if (prompt != NULL) {
        UI_add_user_data(ui, data);
        if (UI_dup_input_string(ui, prompt, UI_INPUT_FLAG_DEFAULT_PWD, answer, 1, HEM_PIN_MAX) > 0 &&
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
