/* One session for each token: requests to a device are answered one after another anyway. */
#include "token.h"

#include <string.h>

#include "errors.h"
#include "match.h"
#include "module.h"
#include "settings.h"

enum { VALUE_MAX = 65536 };

struct hem_token {
    struct hem_token *next;
    char label[33], serial[17];
    CK_SLOT_ID slot;
    CK_FLAGS flags;
    CK_SESSION_HANDLE session; /* 0: none */
    bool logged_in;
    char *pin;
    unsigned module_generation; /* of slot and session */
    unsigned generation;        /* of handles found in it */
};

static struct hem_token *tokens;

static struct hem_token *remembered(const struct hem_match *found)
{
    struct hem_token *token;
    char label[33], serial[17];

    hem_unpad(label, found->info.label, sizeof found->info.label);
    hem_unpad(serial, found->info.serialNumber, sizeof found->info.serialNumber);
    for (token = tokens; token != NULL; token = token->next)
        if (strcmp(token->label, label) == 0 && strcmp(token->serial, serial) == 0)
            return token;
    token = OPENSSL_zalloc(sizeof *token);
    if (token == NULL) {
        hem_error(HEM_R_MEMORY, "token '%s'", label);
        return NULL;
    }
    strcpy(token->label, label);
    strcpy(token->serial, serial);
    token->slot = found->slot;
    token->flags = found->info.flags;
    token->module_generation = hem_module_generation();
    token->next = tokens;
    tokens = token;
    return token;
}

struct hem_token *hem_token_find(const struct hem_name *name)
{
    struct hem_match found;
    const CK_FUNCTION_LIST *module = hem_module();

    if (module == NULL)
        return NULL;
    if (name->module_path.data != NULL &&
        strcmp((const char *)name->module_path.data, hem_module_path()) != 0) {
        hem_error(HEM_R_URI, "module-path '%.200s' is not the module in use, '%.200s'; set MODULE_PATH",
                  (const char *)name->module_path.data, hem_module_path());
        return NULL;
    }
    if (!hem_match_slots(module, name, &found))
        return NULL;
    if (found.fitting == 1 && hem_match_library(module, name))
        return remembered(&found);
    if (found.fitting > 1)
        hem_error(HEM_R_AMBIGUOUS, "tokens %s: choose one by token=… in the URI", found.labels);
    else if (*found.labels == '\0')
        hem_error(HEM_R_TOKEN, "no slot has a token now: is the device reachable?");
    else
        hem_error(HEM_R_TOKEN, "token, model, serial, slot or library of the URI fit none of %s",
                  found.labels);
    return NULL;
}

const char *hem_token_label(const struct hem_token *token)
{
    return token->label;
}

unsigned hem_token_generation(const struct hem_token *token)
{
    return token->generation;
}

static void drop_session(struct hem_token *token)
{
    token->session = 0;
    token->logged_in = false;
    token->generation++;
}

/* After a fork or a new start the same device may have another slot number. */
static bool find_again(const CK_FUNCTION_LIST *module, struct hem_token *token)
{
    struct hem_name name = {
        .token = {(unsigned char *)token->label, strlen(token->label)},
        .serial = {(unsigned char *)token->serial, strlen(token->serial)},
    };
    struct hem_match found;

    if (token->module_generation == hem_module_generation())
        return true;
    drop_session(token);
    if (!hem_match_slots(module, &name, &found))
        return false;
    if (found.fitting != 1) {
        hem_error(HEM_R_TOKEN, "'%s' is not there any more: is the device reachable?", token->label);
        return false;
    }
    token->slot = found.slot;
    token->flags = found.info.flags;
    token->module_generation = hem_module_generation();
    return true;
}

static CK_RV login_with(const CK_FUNCTION_LIST *module, struct hem_token *token, const char *pin)
{
    CK_RV rv = module->C_Login(token->session, CKU_USER, (CK_UTF8CHAR *)pin,
                               pin == NULL ? 0 : strlen(pin));

    if (rv == CKR_USER_ALREADY_LOGGED_IN)
        rv = CKR_OK;
    token->logged_in = rv == CKR_OK;
    return rv;
}

static bool keep_pin(struct hem_token *token, const char *pin)
{
    return pin == NULL || hem_settings_text(&token->pin, pin);
}

/* Each source is tried alone: a PIN that is refused costs an attempt at the device. */
static bool log_in(const CK_FUNCTION_LIST *module, struct hem_token *token, const char *pin,
                   const struct hem_asker *asker)
{
    char *asked = NULL;

    if (token->logged_in || !((token->flags & CKF_LOGIN_REQUIRED) || hem_settings.force_login))
        return true;
    if (pin == NULL)
        pin = token->pin;
    /* The flag says that the module gets the PIN by itself. */
    if (pin == NULL && !(token->flags & CKF_PROTECTED_AUTHENTICATION_PATH)) {
        if (asker == NULL) {
            hem_error(HEM_R_PIN_NEEDED, "token '%s'", token->label);
            return false;
        }
        pin = asked = hem_pin_ask(asker, token->label);
        if (asked == NULL)
            return false;
    }
    CK_RV rv = login_with(module, token, pin);
    if (rv == CKR_OK && pin != token->pin && !keep_pin(token, pin))
        rv = CKR_HOST_MEMORY;
    hem_pin_free(asked);
    if (rv != CKR_OK) {
        hem_error_rv(rv, "C_Login", token->label);
        return false;
    }
    hem_trace("logged in to '%s'", token->label);
    return true;
}

CK_SESSION_HANDLE hem_token_session(struct hem_token *token, bool login, const char *pin,
                                    const struct hem_asker *asker)
{
    const CK_FUNCTION_LIST *module = hem_module();

    if (module == NULL || !find_again(module, token))
        return 0;
    if (token->session == 0) {
        CK_RV rv = module->C_OpenSession(token->slot, CKF_SERIAL_SESSION, NULL, NULL,
                                         &token->session);
        if (rv != CKR_OK) {
            token->session = 0;
            hem_error_rv(rv, "C_OpenSession", token->label);
            return 0;
        }
    }
    if ((login || hem_settings.force_login) && !log_in(module, token, pin, asker))
        return 0;
    return token->session;
}

bool hem_token_recover(struct hem_token *token, CK_RV rv)
{
    switch (rv) {
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        hem_module_restart();
        break;
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
        drop_session(token);
        break;
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OPERATION_ACTIVE:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
        if (token->session != 0 && hem_module() != NULL)
            hem_module()->C_CloseSession(token->session);
        drop_session(token);
        break;
    default:
        return false;
    }
    hem_trace("'%s' answered 0x%lx: a new session", token->label, rv);
    return true;
}

bool hem_token_search(struct hem_token *token, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template,
                      CK_ULONG count, CK_OBJECT_HANDLE *found, CK_ULONG room, CK_ULONG *number)
{
    const CK_FUNCTION_LIST *module = hem_module();
    CK_ULONG got = 0;

    *number = 0;
    if (module == NULL)
        return false;
    CK_RV rv = module->C_FindObjectsInit(session, template, count);
    if (rv != CKR_OK) {
        hem_error_rv(rv, "C_FindObjectsInit", token->label);
        return false;
    }
    do {
        rv = module->C_FindObjects(session, found + *number, room - *number, &got);
        if (rv == CKR_OK && got > room - *number) /* no module may; handles that are not there are none */
            rv = CKR_GENERAL_ERROR;
        *number += rv == CKR_OK ? got : 0;
    } while (rv == CKR_OK && got > 0 && *number < room);
    module->C_FindObjectsFinal(session);
    if (rv != CKR_OK)
        hem_error_rv(rv, "C_FindObjects", token->label);
    return rv == CKR_OK;
}

unsigned char *hem_token_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                               CK_ULONG attribute, size_t *length)
{
    const CK_FUNCTION_LIST *module = hem_module();
    CK_ATTRIBUTE query = {attribute, NULL, 0};

    if (module == NULL || module->C_GetAttributeValue(session, object, &query, 1) != CKR_OK ||
        query.ulValueLen > VALUE_MAX)
        return NULL;
    CK_ULONG room = query.ulValueLen;
    query.pValue = OPENSSL_zalloc(room + 1);
    if (query.pValue == NULL || module->C_GetAttributeValue(session, object, &query, 1) != CKR_OK ||
        query.ulValueLen > room) {
        OPENSSL_free(query.pValue);
        return NULL;
    }
    *length = query.ulValueLen;
    return query.pValue;
}

void hem_tokens_forget(void)
{
    while (tokens != NULL) {
        struct hem_token *token = tokens;
        tokens = token->next;
        hem_settings_text(&token->pin, NULL);
        OPENSSL_free(token);
    }
}
