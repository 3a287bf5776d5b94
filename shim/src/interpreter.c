/* Which Python serves this process, and the half of this library that is written for it.
 *
 * A process has one Python at most, and it need not be the one we were built for: the program may be
 * a python3 with the interpreter inside, or may have loaded a libpython of its own. So this half
 * is not linked with libpython. It looks for the process's own interpreter first, brings ours where
 * there is none, refuses another version, and only then loads libhem_python.so, whose Python symbols
 * the loader then finds where everybody else's are: in the program, or in the one libpython that is
 * global. (Linked with libpython and loaded with RTLD_DEEPBIND, as pkcs11-provider does it, we would
 * have bound to a second, uninitialised interpreter.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

#define OTHER_HALF "libhem_python.so"

static _Atomic(const struct hem_python *) python; /* NULL: not loaded */
static atomic_bool refused;

typedef const char *(*version_function)(void);

static bool version_fits(version_function get_version)
{
    const char *running = get_version();

    if (strstr(running, "free-threading build") != NULL) {
        hem_say("this program runs Python %.*s without its global lock, and the module is built for Python "
                HEM_PYTHON_VERSION " with it. Run the module in a process of its own: p11-kit server "
                "--provider MODULE 'pkcs11:', and load p11-kit-client.so here",
                (int)strcspn(running, " "), running);
        return false;
    }
    if (strncmp(running, HEM_PYTHON_VERSION ".", sizeof HEM_PYTHON_VERSION) == 0)
        return true;
    hem_say("this program runs Python %.*s, and the module needs Python %s: the two cannot share "
            "a process. Run the module in a process of its own: p11-kit server --provider "
            "MODULE 'pkcs11:', and load p11-kit-client.so here",
            (int)strcspn(running, " "), running, HEM_PYTHON_VERSION);
    return false;
}

/* dl_iterate_phdr: keeps the path of a libpythonX.Y that somebody has loaded, where it is wanted. */
static int is_libpython(struct dl_phdr_info *info, size_t size, void *path)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    int major, minor;

    (void)size;
    if (sscanf(slash == NULL ? info->dlpi_name : slash + 1, "libpython%d.%d", &major, &minor) != 2 ||
        strlen(info->dlpi_name) >= PATH_MAX)
        return 0;
    if (path != NULL)
        strcpy(path, info->dlpi_name);
    return 1;
}

static version_function version_in(void *library)
{
    version_function found = NULL;

    if (library != NULL)
        *(void **)&found = dlsym(library, "Py_GetVersion");
    return found;
}

/* Loaded RTLD_LOCAL, libpython's symbols are invisible to Python's extension modules and to our
 * other half. Opening the same library again can only widen their scope. */
static bool make_global(const char *path)
{
    return dlopen(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL) != NULL;
}

static bool bring_our_own(void)
{
    const struct hem_places *where = hem_places();

    if (*where->python_problem != '\0') {
        hem_say("%s", where->python_problem);
        return false;
    }
    void *library = dlopen(where->libpython, RTLD_NOW | RTLD_GLOBAL);
    version_function get_version = version_in(library);
    if (library == NULL || get_version == NULL)
        hem_say("Python %s cannot be loaded: %s", HEM_PYTHON_VERSION, dlerror());
    return get_version != NULL && version_fits(get_version);
}

/* dlmopen() gives a namespace of its own, where no symbol can be made global: Python's extension
 * modules would not find it. */
static bool in_own_namespace(void)
{
    Dl_info info;
    void *map = NULL;
    Lmid_t namespace = LM_ID_BASE;

    if (dladdr1((void *)&hem_python_start, &info, &map, RTLD_DL_LINKMAP) == 0 ||
        dlinfo(map, RTLD_DI_LMID, &namespace) != 0 || namespace == LM_ID_BASE)
        return false;
    hem_say("loaded by dlmopen() into a namespace of its own, where Python cannot run; load the module by "
            "dlopen(), or run it in a process of its own (p11-kit server)");
    return true;
}

static bool process_has_python(void)
{
    return version_in(dlopen(NULL, RTLD_LAZY)) != NULL || dl_iterate_phdr(is_libpython, NULL) != 0;
}

/* The process's Python, ours where it has none, with its symbols global. */
static bool find_python(void)
{
    char path[PATH_MAX] = "";
    version_function get_version;

    if (in_own_namespace())
        return false;
    get_version = version_in(dlopen(NULL, RTLD_LAZY));
    if (get_version != NULL)
        return version_fits(get_version);
    if (dl_iterate_phdr(is_libpython, path) == 0)
        return bring_our_own();
    get_version = version_in(dlopen(path, RTLD_LAZY | RTLD_NOLOAD));
    if (get_version != NULL && !version_fits(get_version))
        return false;
    if (get_version != NULL && make_global(path))
        return true;
    hem_say("this program has loaded %s, and the Python in it cannot be used: %s. Run the module in a process of "
            "its own: p11-kit server --provider MODULE 'pkcs11:', and load p11-kit-client.so here",
            path, get_version == NULL ? "it has no Py_GetVersion" : dlerror());
    return false;
}

/* Where the other half must be; false, having said so, where it is not. */
static bool find_other_half(char path[PATH_MAX])
{
    char here[PATH_MAX];
    Dl_info info;

    if (dladdr((void *)&hem_python_start, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, here) == NULL) {
        hem_say("cannot find out where this library lies");
        return false;
    }
    int folder = (int)(strrchr(here, '/') - here);
    if (snprintf(path, PATH_MAX, "%.*s/" OTHER_HALF, folder, here) < PATH_MAX && access(path, R_OK) == 0)
        return true;
    hem_say("the module's other half cannot be loaded: %s: %s. Use the module where it is installed "
            "(hem pkcs11 path), or a link to it, not a copy", path, strerror(errno));
    return false;
}

static const struct hem_python *load_other_half(const char *path)
{
    const struct hem_python *(*table)(void);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    *(void **)&table = library == NULL ? NULL : dlsym(library, "hem_python_table");
    if (table == NULL) {
        hem_say("the module's other half cannot be loaded: %s", dlerror());
        return NULL;
    }
    return table();
}

bool hem_python_start(bool alone)
{
    /* Without a lock: whoever is second finds the same interpreter and the same library. */
    if (atomic_load(&python) == NULL && !atomic_load(&refused)) {
        char half[PATH_MAX];
        const struct hem_python *found = find_other_half(half) && find_python() ? load_other_half(half) : NULL;
        if (found == NULL)
            atomic_store(&refused, true);
        else
            atomic_store(&python, found);
    }
    const struct hem_python *found = atomic_load(&python);
    return found != NULL && found->start(alone);
}

const char *hem_python_keeps_thread(void)
{
    const struct hem_python *found = atomic_load(&python);

    return (found != NULL ? found->running_here() : process_has_python())
               ? "runs Python itself (threading.stack_size)"
               : NULL;
}

bool hem_python_ready(void)
{
    const struct hem_python *found = atomic_load(&python);

    return found != NULL && found->ready();
}

void hem_python_call(CK_RV *rv, const char *function, const uintptr_t *words)
{
    atomic_load(&python)->call(rv, function, words);
}
