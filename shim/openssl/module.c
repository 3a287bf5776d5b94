/* Finding, loading and initialising the PKCS#11 module; what a fork does to it. */
#define _GNU_SOURCE
#include "module.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "errors.h"
#include "settings.h"

#define MODULE_FILE "libhem_pkcs11.so"

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static struct {
    const CK_FUNCTION_LIST *functions;
    char path[PATH_MAX]; /* of the library that `functions` come from */
    unsigned generation;
    bool initialised; /* in this process */
    bool ours;        /* by us, not by the host itself */
} module;

/* In the child, another thread of the parent may have held the lock, and the module must be
 * initialised again (PKCS #11 3.2, 5.4.1). The handles of the parent are left alone. */
static void after_fork_in_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    module.generation++;
    module.initialised = false;
}

static void install_handlers(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

void hem_lock(void)
{
    pthread_once(&handlers_once, install_handlers);
    pthread_mutex_lock(&lock);
}

void hem_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

unsigned hem_module_generation(void)
{
    return module.generation;
}

/* MODULE_PATH, else the environment's, else the module installed beside this engine. */
const char *hem_module_path(void)
{
    static char beside[PATH_MAX];
    const char *variable = secure_getenv("HEM_PKCS11_MODULE");
    Dl_info here;

    if (hem_settings.module_path != NULL)
        return hem_settings.module_path;
    if (variable != NULL && *variable != '\0')
        return variable;
    if (dladdr(&module, &here) != 0 && here.dli_fname != NULL) {
        /* An engine is often reached through a link in OpenSSL's own directory. */
        char resolved[PATH_MAX];
        const char *file = realpath(here.dli_fname, resolved) != NULL ? resolved : here.dli_fname;
        const char *slash = strrchr(file, '/');
        int folder = slash == NULL ? 0 : (int)(slash - file + 1);
        if (snprintf(beside, sizeof beside, "%.*s" MODULE_FILE, folder, file) < PATH_MAX)
            return beside;
    }
    return MODULE_FILE;
}

static bool load(void)
{
    const char *path = hem_module_path();
    CK_RV (*get_list)(void **);
    void *list = NULL;

    if (module.functions != NULL && strcmp(path, module.path) == 0)
        return true;
    if (strlen(path) >= sizeof module.path) {
        hem_error(HEM_R_MODULE, "the path is longer than %zu bytes", sizeof module.path - 1);
        return false;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        hem_error(HEM_R_MODULE,
                  "%s; say where it is by MODULE_PATH or HEM_PKCS11_MODULE ('hem pkcs11 path' prints it)",
                  dlerror());
        return false;
    }
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
    CK_RV rv = get_list == NULL ? CKR_GENERAL_ERROR : get_list(&list);
    if (rv != CKR_OK || list == NULL) {
        hem_error(HEM_R_MODULE, "'%.500s' is no PKCS#11 module: C_GetFunctionList %s", path,
                  get_list == NULL ? "is missing" : "fails");
        dlclose(library);
        return false;
    }
    /* Never closed: a module may have threads and handlers of its own. */
    module.functions = list;
    strcpy(module.path, path);
    module.initialised = false;
    module.generation++;
    return true;
}

static bool initialise(void)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};

    CK_RV rv = module.functions->C_Initialize(&arguments);
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED && module.ours) {
        /* Some modules keep the parent's state over a fork, and want an end before a beginning. */
        module.functions->C_Finalize(NULL);
        rv = module.functions->C_Initialize(&arguments);
    }
    module.ours = rv == CKR_OK;
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        hem_error_rv(rv, "C_Initialize", module.path);
        return false;
    }
    module.initialised = true;
    hem_trace("module %s initialised in process %ld", module.path, (long)getpid());
    return true;
}

const CK_FUNCTION_LIST *hem_module(void)
{
    if (!load())
        return NULL;
    if (!module.initialised && !initialise())
        return NULL;
    return module.functions;
}

void hem_module_restart(void)
{
    module.initialised = false;
    module.generation++;
}

void hem_module_close(void)
{
    if (module.initialised && module.ours)
        module.functions->C_Finalize(NULL);
    module.ours = module.initialised = false;
    module.generation++;
}
