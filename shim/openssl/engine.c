/* The engine: what OpenSSL asks of it, and its control commands. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "errors.h"
#include "key.h"
#include "methods.h"
#include "module.h"
#include "pem.h"
#include "settings.h"

/* The second is for programs that name no engine but the best-known one for pkcs11: URIs. */
static const char *const engine_ids[] = {"hem", "pkcs11"};
static const char engine_name[] = "Keys in an Encedo HEM, by PKCS#11";

/* --- control commands --------------------------------------------------------------------- */

/* What LOAD_CERT_CTRL takes, as hosts of PKCS#11 engines know it. */
struct load_cert {
    const char *name;
    X509 *certificate;
};

enum command {
    MODULE_PATH = ENGINE_CMD_BASE,
    PIN,
    PIN_SOURCE,
    LOAD_CERT_CTRL,
    SET_USER_INTERFACE,
    SET_CALLBACK_DATA,
    FORCE_LOGIN,
    RE_ENUMERATE,
    VERBOSE,
    QUIET,
};

#define TEXT ENGINE_CMD_FLAG_STRING
#define NOTHING ENGINE_CMD_FLAG_NO_INPUT
#define POINTER ENGINE_CMD_FLAG_INTERNAL

static const ENGINE_CMD_DEFN commands[] = {
    {MODULE_PATH, "MODULE_PATH", "PKCS#11 module; default: the one installed beside this engine", TEXT},
    {PIN, "PIN", "PIN (the device's passphrase) for keys whose name has none", TEXT},
    {PIN_SOURCE, "PIN_SOURCE", "file that holds that PIN alone", TEXT},
    {LOAD_CERT_CTRL, "LOAD_CERT_CTRL", "load a certificate: struct { const char *name; X509 *cert; }",
     POINTER},
    {SET_USER_INTERFACE, "SET_USER_INTERFACE", "UI_METHOD that asks for a PIN", POINTER},
    {SET_CALLBACK_DATA, "SET_CALLBACK_DATA", "data for that UI_METHOD", POINTER},
    {FORCE_LOGIN, "FORCE_LOGIN", "log in also to read public objects", NOTHING},
    {RE_ENUMERATE, "RE_ENUMERATE", "look at slots, tokens and keys anew", NOTHING},
    {VERBOSE, "VERBOSE", "say on standard error what is done", NOTHING},
    {QUIET, "QUIET", "the opposite of VERBOSE", NOTHING},
    {0, NULL, NULL, 0},
};

static int load_certificate(struct load_cert *request)
{
    const struct hem_asker asker = {NULL, NULL};

    if (request == NULL || request->certificate != NULL) {
        hem_error(HEM_R_CONTROL, "LOAD_CERT_CTRL takes a name and an empty place for a certificate");
        return 0;
    }
    request->certificate = hem_certificate_load(request->name, &asker);
    return request->certificate != NULL;
}

static int set_pin(const char *pin)
{
    return hem_settings_text(&hem_settings.pin, pin);
}

static int set_pin_from(const char *path)
{
    char *pin = path == NULL ? NULL : hem_pin_from_file(path);
    int done = pin != NULL && set_pin(pin);

    hem_pin_free(pin);
    return done;
}

static int control_locked(int command, void *pointer)
{
    switch ((enum command)command) {
    case MODULE_PATH:
        return hem_settings_text(&hem_settings.module_path, pointer);
    case PIN:
        return set_pin(pointer);
    case PIN_SOURCE:
        return set_pin_from(pointer);
    case LOAD_CERT_CTRL:
        return load_certificate(pointer);
    case SET_USER_INTERFACE:
        hem_settings.ui_method = pointer;
        return 1;
    case SET_CALLBACK_DATA:
        hem_settings.ui_data = pointer;
        return 1;
    case FORCE_LOGIN:
        hem_settings.force_login = true;
        return 1;
    case RE_ENUMERATE:
        hem_module_close();
        return 1;
    case VERBOSE:
        hem_settings.verbose = true;
        return 1;
    case QUIET:
        hem_settings.verbose = false;
        return 1;
    }
    hem_error(HEM_R_CONTROL, "there is no command %d", command);
    return 0;
}

static int control(ENGINE *engine, int command, long number, void *pointer, void (*function)(void))
{
    (void)engine;
    (void)number;
    (void)function;
    hem_lock();
    int done = control_locked(command, pointer);
    hem_unlock();
    return done;
}

/* --- life --------------------------------------------------------------------------------- */

/* One engine at a time: settings, methods and keys are the library's. */
static bool bound;

/* The module is loaded when the first key is: an engine that a configuration file loads into every
 * program costs nothing where it is not used. */
static int init(ENGINE *engine)
{
    (void)engine;
    return 1;
}

/* The last user is gone, so no key of ours is left. */
static int finish(ENGINE *engine)
{
    (void)engine;
    hem_lock();
    hem_keys_forget();
    hem_module_close();
    hem_unlock();
    return 1;
}

static int destroy(ENGINE *engine)
{
    (void)engine;
    hem_settings_clear();
    hem_pem_forget();
    hem_methods_free();
    hem_errors_unload();
    bound = false;
    return 1;
}

/* Programs that load an engine from a file take the file's path, or a part of its name, for the id, and
 * ask for that id later. A part: without folder, "lib" or ".so". */
static bool is_named_after(const char *id, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    const char *forms[] = {name, strncmp(name, "lib", 3) == 0 ? name + 3 : name};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t stem = strcspn(forms[i], ".");
        if (strcmp(id, forms[i]) == 0 || (strlen(id) == stem && strncmp(id, forms[i], stem) == 0))
            return true;
    }
    return false;
}

/* The id to have, when `wanted` is one of ours; stays in place. */
static const char *known_id(const char *wanted)
{
    static char derived[PATH_MAX];
    Dl_info here;

    if (wanted == NULL)
        return engine_ids[0];
    for (size_t i = 0; i < sizeof engine_ids / sizeof *engine_ids; i++)
        if (strcmp(wanted, engine_ids[i]) == 0)
            return engine_ids[i];
    bool path = strchr(wanted, '/') != NULL;
    if (strlen(wanted) >= sizeof derived || dladdr(engine_ids, &here) == 0 || here.dli_fname == NULL ||
        !(path || is_named_after(wanted, here.dli_fname)))
        return NULL;
    strcpy(derived, wanted);
    return derived;
}

static int bind(ENGINE *engine, const char *wanted_id)
{
    const char *id = known_id(wanted_id);

    if (id == NULL || bound) /* OpenSSL 3 itself refuses a library that it has loaded already */
        return 0;
    bound = true;
    hem_errors_load();
    return hem_methods_create() && ENGINE_set_id(engine, id) &&
           ENGINE_set_name(engine, engine_name) && ENGINE_set_init_function(engine, init) &&
           ENGINE_set_finish_function(engine, finish) &&
           ENGINE_set_destroy_function(engine, destroy) &&
           ENGINE_set_cmd_defns(engine, commands) && ENGINE_set_ctrl_function(engine, control) &&
           ENGINE_set_pkey_meths(engine, hem_methods) &&
           ENGINE_set_load_privkey_function(engine, hem_key_load_private) &&
           ENGINE_set_load_pubkey_function(engine, hem_key_load_public) && hem_pem_register(engine);
}

/* Whether the program's OpenSSL is the library that we are linked with. Where it is another one (OpenSSL 1.1, or
 * one that the program is linked with statically), what we make by our functions is nothing that its functions
 * may touch, whatever OpenSSL's macro does about it. Its queue of errors cannot be reached either. */
static bool is_our_openssl(const dynamic_fns *functions)
{
    if (ENGINE_get_static_state() == functions->static_state)
        return true;
    fprintf(stderr, "hem engine: this program has an OpenSSL of its own, and the engine is for %s: "
                    "use the program with pkcs11-provider, or one that is linked with libcrypto\n",
            OpenSSL_version(OPENSSL_VERSION));
    return false;
}

/* All else of this library is hidden. */
#define EXPORT __attribute__((visibility("default")))
EXPORT unsigned long v_check(unsigned long version);
EXPORT int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *functions);

IMPLEMENT_DYNAMIC_CHECK_FN()

int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *functions)
{
    return is_our_openssl(functions) && bind(engine, id);
}
