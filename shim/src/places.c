/* Where our packages are, and the Python that they were installed for.
 *
 * Nothing of the machine that built this library is in it, so that one wheel serves every machine. All
 * follows from the place where the library lies:
 *
 * - The packages lie beside ours, in site-packages.
 * - In a virtual environment its pyvenv.cfg names the interpreter (home). Elsewhere it is the one that
 *   site-packages belongs to, as with a Python below /usr/local or /opt, or else Debian's in /usr: with
 *   "pip install --user" and "--target" the place does not tell.
 * - A file `search-path` beside the library comes first. A build in a checkout leaves one, since the
 *   sources lie elsewhere than the packages that they need. Its lines are folders of packages, and
 *   `home = FOLDER` as in pyvenv.cfg.
 *
 * Environment variables and PATH have no say: a host may be more privileged than who set them. Each half
 * of the library has this code, the first for libpython, the second for the rest.
 */
#define _GNU_SOURCE
#include "places.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef HEM_PYTHON_VERSION
#error "build_module.py defines HEM_PYTHON_VERSION, HEM_LIBPYTHON_NAME and HEM_MULTIARCH"
#endif

#define PYTHON "python" HEM_PYTHON_VERSION

static struct hem_places places;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char folder[PATH_MAX]; /* where the library lies */
static struct stat library;
static char home[PATH_MAX];    /* as a file names it; empty: none does */
static char named_in[PATH_MAX]; /* that file */

/* --- small things ------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static bool join(char path[PATH_MAX], const char *format, ...)
{
    va_list parts;

    va_start(parts, format);
    int length = vsnprintf(path, PATH_MAX, format, parts);
    va_end(parts);
    return length >= 0 && length < PATH_MAX;
}

/* Keeps the first problem; always false. */
__attribute__((format(printf, 2, 3))) static bool problem(char *text, const char *format, ...)
{
    va_list parts;

    va_start(parts, format);
    if (*text == '\0')
        (void)vsnprintf(text, HEM_PROBLEM_SIZE, format, parts);
    va_end(parts);
    return false;
}

/* Cuts the last part of a path off; false when nothing would be left. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* --- files that say where things are -------------------------------------------------------- */

/* Open for reading, with its status; NULL when there is none. */
static FILE *opened(const char *path, struct stat *status)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO does not wait */
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r");

    if (file == NULL) {
        if (descriptor >= 0)
            close(descriptor);
        return NULL;
    }
    if (fstat(descriptor, status) != 0 || !S_ISREG(status->st_mode)) {
        fclose(file);
        return NULL;
    }
    return file;
}

static bool only_owner_writes(const struct stat *status)
{
    return (status->st_uid == 0 || status->st_uid == library.st_uid) &&
           (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whoever can write the library, or own the folder above it, needs no such file to have code run; others
 * shall not get so far by one. */
static bool is_environments_own(const struct stat *status, const char *above)
{
    struct stat owner;
    bool group = (status->st_mode & S_IWGRP) == 0 ||
                 ((library.st_mode & S_IWGRP) != 0 && library.st_gid == status->st_gid);

    return group && (status->st_mode & S_IWOTH) == 0 && stat(above, &owner) == 0 &&
           (status->st_uid == 0 || status->st_uid == library.st_uid || status->st_uid == owner.st_uid);
}

/* `KEY = VALUE` with the key "home": keeps the value. */
static void take_home(char *line, const char *file)
{
    char *equals = strchr(line, '='), *value;

    if (equals == NULL)
        return;
    *equals = '\0';
    line += strspn(line, " \t");
    line[strcspn(line, " \t")] = '\0';
    value = equals + 1 + strspn(equals + 1, " \t");
    for (size_t end = strlen(value); end > 0 && strchr(" \t\r\n", value[end - 1]) != NULL; end--)
        value[end - 1] = '\0';
    if (strcasecmp(line, "home") == 0 && *value == '/' && strlen(value) < PATH_MAX) {
        strcpy(home, value);
        strcpy(named_in, file);
    }
}

/* Nobody but root and the library's owner may have written it. */
static bool read_search_path(void)
{
    char path[PATH_MAX], line[PATH_MAX];
    struct stat status, around;

    if (!join(path, "%s/search-path", folder))
        return true;
    FILE *file = opened(path, &status);
    if (file == NULL)
        return access(path, F_OK) != 0 || problem(places.packages_problem, "%s: not a file to read", path);
    bool good = stat(folder, &around) == 0 && only_owner_writes(&status) && only_owner_writes(&around);
    if (!good)
        problem(places.packages_problem,
                "%s: not used: it, or its directory, belongs to somebody else or may be written by others "
                "(chmod go-w)", path);
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (*line == '/' && places.package_count < HEM_MOST_PACKAGES)
            strcpy(places.packages[places.package_count++], line);
        else if (*line != '/' && strchr(line, '=') != NULL)
            take_home(line, path);
        else if (*line != '\0')
            good = problem(places.packages_problem,
                           "%s: each line must be an absolute directory, at most %d of them, or home = DIRECTORY",
                           path, HEM_MOST_PACKAGES);
    }
    fclose(file);
    return good;
}

/* --- our packages ------------------------------------------------------------------------ */

static bool find_packages(void)
{
    char landmark[PATH_MAX];
    Dl_info info;

    if (dladdr((void *)&hem_places, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, folder) == NULL || stat(folder, &library) != 0 || !to_parent(folder))
        return problem(places.packages_problem, "cannot find out where this library lies");
    if (!read_search_path())
        return false;
    if (places.package_count > 0)
        return true;
    strcpy(places.packages[0], folder); /* the library lies in the package hem_pkcs11 */
    if (!join(landmark, "%s/__init__.py", folder) || !is_file(landmark) || !to_parent(places.packages[0]))
        return problem(places.packages_problem,
                       "the module's Python code cannot be loaded: %s holds the library alone. Use it where it is "
                       "installed (hem pkcs11 path), or a link to it, not a copy", folder);
    places.package_count = 1;
    return true;
}

/* --- the interpreter ------------------------------------------------------------------------ */

static bool has_library(const char *prefix)
{
    static const char *const below[] = {"lib", ("lib/" HEM_MULTIARCH), "lib64"};

    strcpy(places.prefix, prefix);
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (join(places.libpython, "%s/%s/" HEM_LIBPYTHON_NAME, prefix, below[i]) && is_file(places.libpython))
            return true;
    return problem(places.python_problem,
                   "Python " HEM_PYTHON_VERSION " of %s has no shared library " HEM_LIBPYTHON_NAME
                   ", in which the module runs: on Debian apt-get install lib" PYTHON
                   "; elsewhere take an interpreter that is built with --enable-shared", prefix);
}

static bool has_stdlib(const char *prefix)
{
    static const char *const below[] = {"lib", "lib64"};
    char landmark[PATH_MAX];

    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (join(places.stdlib, "%s/%s/" PYTHON, prefix, below[i]) &&
            join(places.dynload, "%s/lib-dynload", places.stdlib) &&
            join(landmark, "%s/os.py", places.stdlib) && is_file(landmark))
            return true;
    return false;
}

/* home is the folder of the interpreter, or of links to it. */
static bool of_home(void)
{
    static const char *const programs[] = {"/" PYTHON, "/python3", "/python", "/."};
    char path[PATH_MAX], real[PATH_MAX];

    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        bool there = join(path, "%s%s", home, programs[i]) && realpath(path, real) != NULL;
        if (there && strcmp(programs[i], "/.") != 0)
            there = to_parent(real);
        if (there && to_parent(real) && has_stdlib(real))
            return has_library(real);
    }
    return problem(places.python_problem,
                   "%s: home = %s has no Python " HEM_PYTHON_VERSION
                   ", for which the module is built: make the environment anew with the Python that is there",
                   named_in, home);
}

/* PREFIX/lib/pythonX.Y/site-packages: fills PREFIX; false elsewhere, or for another Python, which is said. */
static bool prefix_of_packages(char prefix[PATH_MAX])
{
    strcpy(prefix, places.packages[0]);
    if (!to_parent(prefix) || strncmp(last_part(prefix), "python", 6) != 0)
        return false;
    const char *owner = last_part(prefix);
    int major, minor;
    if (sscanf(owner, "python%d.%d", &major, &minor) == 2 && strcmp(owner, PYTHON) != 0)
        return problem(places.python_problem,
                       "%s: built for Python " HEM_PYTHON_VERSION ", and it lies in packages of %s: "
                       "install hem-provider with that one", folder, owner);
    return to_parent(prefix) && to_parent(prefix);
}

static void read_environment(const char *prefix)
{
    char path[PATH_MAX], line[PATH_MAX + 64];
    struct stat status;
    FILE *file = join(path, "%s/pyvenv.cfg", prefix) ? opened(path, &status) : NULL;

    if (file == NULL)
        return;
    if (!is_environments_own(&status, prefix))
        problem(places.python_problem,
                "%s: not used: it belongs to somebody else or may be written by others (chmod go-w)", path);
    else
        while (*home == '\0' && fgets(line, sizeof line, file) != NULL)
            take_home(line, path);
    fclose(file);
    if (*home == '\0')
        problem(places.python_problem, "%s: names no interpreter (home = FOLDER)", path);
}

static bool found_at(const char *prefix)
{
    if (!has_stdlib(prefix))
        return false;
    if (!has_library(prefix))
        return false;
    *places.python_problem = '\0'; /* of one that was looked at before */
    return true;
}

static bool find_interpreter(void)
{
    char prefix[PATH_MAX] = "";

    if (*home != '\0')
        return of_home();
    bool known = prefix_of_packages(prefix);
    if (known)
        read_environment(prefix);
    if (*places.python_problem != '\0')
        return false;
    if (*home != '\0')
        return of_home();
    if ((known && found_at(prefix)) || found_at("/usr") || found_at("/usr/local"))
        return true;
    return problem(places.python_problem,
                   "found no Python " HEM_PYTHON_VERSION " for %s, neither around it nor in /usr: on Debian "
                   "apt-get install lib" PYTHON "; else install hem-provider in a virtual environment",
                   folder);
}

static void look(void)
{
    if (find_packages())
        (void)find_interpreter();
    else
        strcpy(places.python_problem, places.packages_problem);
}

const struct hem_places *hem_places(void)
{
    (void)pthread_once(&once, look);
    return &places;
}
