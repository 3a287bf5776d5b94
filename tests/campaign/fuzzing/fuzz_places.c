/* Where Python is (places.c) and which one serves the process (interpreter.c), on a disk and in a process that the
 * input describes: which files there are, what stands in search-path and pyvenv.cfg, who may write them, what the
 * loader has loaded. Both sources are part of this one, so that they begin anew with each input.
 *
 * Held against them: they end, they write within their arrays, they say a line where they refuse, and they use no
 * search-path or pyvenv.cfg that others may write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime.h"

static const uint8_t *at, *end; /* what is left of the input */

static uint8_t next(void)
{
    return at < end ? *at++ : 0;
}

static void refuse(const char *what)
{
    fprintf(stderr, "WRONG: %s\n", what);
    abort();
}

/* --- the disk ---------------------------------------------------------------------------------- */

static struct {
    char library[PATH_MAX]; /* where this library lies */
    char *content[2];       /* of search-path, pyvenv.cfg */
    size_t size[2];
    mode_t mode[2];
    uid_t owner[2];
    uint8_t files; /* which of the others there are */
    bool opened[2];
} disk;

static int which(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    return strcmp(name, "search-path") == 0 ? 0 : strcmp(name, "pyvenv.cfg") == 0 ? 1 : -1;
}

static bool there(const char *path)
{
    int own = which(path);

    if (own >= 0)
        return disk.content[own] != NULL;
    if (strstr(path, "/lib-dynload") != NULL)
        return false;
    if (strstr(path, "os.py") != NULL)
        return disk.files & (strstr(path, "lib64") != NULL ? 1 : strncmp(path, "/usr", 4) == 0 ? 2 : 4);
    if (strstr(path, "libpython") != NULL)
        return disk.files & (strstr(path, "lib64") != NULL ? 8 : 16);
    if (strstr(path, "__init__.py") != NULL)
        return disk.files & 32;
    return disk.files & 64;
}

static void describe(const char *path, struct stat *status)
{
    int own = which(path);

    memset(status, 0, sizeof *status);
    status->st_mode = S_IFREG | 0644;
    if (own >= 0) {
        status->st_mode = disk.mode[own];
        status->st_uid = disk.owner[own];
    }
}

static int fuzz_stat(const char *path, struct stat *status)
{
    if (!there(path) && strrchr(path, '.') != NULL)
        return -1;
    describe(path, status);
    return 0;
}

static int opened_now;

static int fuzz_fstat(int descriptor, struct stat *status)
{
    (void)descriptor;
    describe(opened_now == 0 ? "/search-path" : "/pyvenv.cfg", status);
    return 0;
}

static int fuzz_open(const char *path, int flags, ...)
{
    (void)flags;
    if (which(path) < 0 || !there(path))
        return -1;
    opened_now = which(path);
    return disk.files & 128 ? 1001 : 1000;
}

static int fuzz_close(int descriptor)
{
    if (descriptor != 1000 && descriptor != 1001)
        refuse("closes a descriptor that is not its own");
    return 0;
}

static FILE *fuzz_fdopen(int descriptor, const char *mode)
{
    (void)mode;
    if (descriptor == 1001) /* no memory */
        return NULL;
    return disk.size[opened_now] == 0 ? fopen("/dev/null", "r")
                                      : fmemopen(disk.content[opened_now], disk.size[opened_now], "r");
}

static char *fuzz_fgets(char *line, int size, FILE *file)
{
    if ((disk.mode[opened_now] & S_IWOTH) != 0)
        refuse("reads a file that everybody may write");
    return fgets(line, size, file);
}

static int fuzz_access(const char *path, int mode)
{
    (void)mode;
    return there(path) ? 0 : -1;
}

static char *fuzz_realpath(const char *path, char *resolved)
{
    if (strcmp(path, disk.library) != 0 && !there(path))
        return NULL;
    if (strlen(path) >= PATH_MAX)
        return NULL;
    return strcpy(resolved, path);
}

/* --- the process ------------------------------------------------------------------------------- */

static struct {
    uint8_t has; /* Python in the program, a libpython, its symbols, … */
    char version[40], path[PATH_MAX + 8];
    bool here, lost;
} process;

static int fuzz_dladdr(const void *address, Dl_info *info)
{
    (void)address;
    memset(info, 0, sizeof *info);
    info->dli_fname = disk.library;
    return !process.lost;
}

static int fuzz_dladdr1(const void *address, Dl_info *info, void **extra, int flags)
{
    (void)address, (void)flags;
    memset(info, 0, sizeof *info);
    *extra = &process;
    return !process.lost;
}

static int fuzz_dlinfo(void *handle, int request, void *argument)
{
    (void)handle, (void)request;
    *(Lmid_t *)argument = process.here ? LM_ID_BASE : 5;
    return 0;
}

static int fuzz_dl_iterate_phdr(int (*look)(struct dl_phdr_info *, size_t, void *), void *data)
{
    struct dl_phdr_info info = {.dlpi_name = process.path};

    return process.has & 1 ? look(&info, sizeof info, data) : 0;
}

static char program_marker, libpython_marker, half_marker;

static void *fuzz_dlopen(const char *path, int flags)
{
    (void)flags;
    if (path == NULL)
        return &program_marker;
    if (strstr(path, "libhem_python") != NULL)
        return process.has & 2 ? &half_marker : NULL;
    return process.has & 4 ? &libpython_marker : NULL;
}

static const char *get_version(void)
{
    return process.version;
}

static bool half_started;

static bool half_start(bool alone)
{
    (void)alone;
    half_started = true;
    return process.has & 64;
}

static bool half_ready(void)
{
    return half_started;
}

static bool half_here(void)
{
    return process.has & 128;
}

static void half_call(CK_RV *rv, const char *function, const uintptr_t *words)
{
    (void)function, (void)words;
    *rv = CKR_OK;
}

static const struct hem_python *get_table(void)
{
    static const struct hem_python table = {half_start, half_ready, half_here, half_call, hem_places};

    return &table;
}

static void *fuzz_dlsym(void *library, const char *name)
{
    if (strcmp(name, "hem_python_table") == 0)
        return process.has & 8 ? (void *)get_table : NULL;
    if (library == &program_marker)
        return process.has & 16 ? (void *)get_version : NULL;
    return process.has & 32 ? (void *)get_version : NULL;
}

static char *fuzz_dlerror(void)
{
    return (char *)"no such library";
}

static int fuzz_pthread_once(pthread_once_t *once, void (*function)(void))
{
    static const pthread_once_t never = PTHREAD_ONCE_INIT;

    if (memcmp(once, &never, sizeof never) == 0) {
        *once = 1;
        function();
    }
    return 0;
}

static size_t said;

void hem_say(const char *format, ...)
{
    char line[4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (*line == '\0')
        refuse("says an empty line");
    said++;
}

#define stat(path, status) fuzz_stat(path, status)
#define fstat fuzz_fstat
#define open fuzz_open
#define close fuzz_close
#define fdopen fuzz_fdopen
#define fgets fuzz_fgets
#define access fuzz_access
#define realpath fuzz_realpath
#define dladdr fuzz_dladdr
#define dladdr1 fuzz_dladdr1
#define dlinfo fuzz_dlinfo
#define dl_iterate_phdr fuzz_dl_iterate_phdr
#define dlopen fuzz_dlopen
#define dlsym fuzz_dlsym
#define dlerror fuzz_dlerror
#define pthread_once fuzz_pthread_once

#include "../../../shim/src/places.c"

#include "../../../shim/src/interpreter.c"

#undef stat

/* --- an input ------------------------------------------------------------------------------------ */

static const char *const libraries[] = {
    "/v/lib/python" HEM_PYTHON_VERSION "/site-packages/hem_pkcs11/libhem_pkcs11.so",
    "/usr/lib/python3/dist-packages/hem_pkcs11/libhem_pkcs11.so",
    "/opt/p/lib/python3.8/site-packages/hem_pkcs11/libhem_pkcs11.so",
    "/libhem_pkcs11.so", "/a/libhem_pkcs11.so", "/python" HEM_PYTHON_VERSION "/b/c/libhem_pkcs11.so",
};
static const char *const versions[] = {
    HEM_PYTHON_VERSION ".4 (main)", "2.7.18 (default)", HEM_PYTHON_VERSION, "3.13.0 free-threading build (main)", "",
};
static const char *const loaded[] = {
    "/usr/lib/libpython" HEM_PYTHON_VERSION ".so.1.0", "libpython2.7.so", "/x/libpythonx", "", "/a/libpython3.so",
};

#define PICK(array) (array)[next() % (sizeof(array) / sizeof *(array))]

static void take_file(int file)
{
    size_t size = 4 * (size_t)next();
    bool far = size >= 1000; /* a line that is longer than a path can be */

    if (size == 0)
        return;
    size = size < (size_t)(end - at) ? size : (size_t)(end - at);
    disk.content[file] = malloc(size + (far ? 2 * PATH_MAX : 0) + 1);
    if (disk.content[file] == NULL)
        abort();
    memcpy(disk.content[file], at, size);
    at += size;
    if (far) {
        memset(disk.content[file] + size, '/', 2 * PATH_MAX);
        size += 2 * PATH_MAX;
    }
    disk.size[file] = size;
    disk.mode[file] = (next() & 1 ? S_IFDIR : S_IFREG) | (next() & 0777);
    if (next() & 3)
        disk.mode[file] = S_IFREG | 0644;
    disk.owner[file] = next() & 1 ? 1000 : 0;
}

static void check(const struct hem_places *where)
{
    if (where->package_count > HEM_MOST_PACKAGES)
        refuse("more packages than there is room for");
    if (*where->packages_problem == '\0' && where->package_count == 0)
        refuse("no packages, and no reason");
    for (size_t i = 0; i < where->package_count; i++)
        if (*where->packages[i] != '/' || memchr(where->packages[i], '\0', PATH_MAX) == NULL)
            refuse("a folder that is not absolute");
    if (*where->python_problem == '\0' &&
        (*where->prefix != '/' || *where->libpython != '/' || *where->stdlib != '/' || *where->dynload != '/'))
        refuse("no Python, and no reason");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at = data;
    end = data + size;
    memset(&disk, 0, sizeof disk);
    memset(&process, 0, sizeof process);
    strcpy(disk.library, PICK(libraries));
    strcpy(process.version, PICK(versions));
    strcpy(process.path, PICK(loaded));
    disk.files = next();
    process.has = next();
    uint8_t rare = next();
    process.here = (rare & 31) != 31;
    process.lost = (rare & 224) == 224;
    if (rare == 64)
        memset(process.path, 'p', PATH_MAX);
    take_file(0);
    take_file(1);

    memset(&places, 0, sizeof places);
    once = PTHREAD_ONCE_INIT;
    *folder = *home = *named_in = '\0';
    memset(&library, 0, sizeof library);
    atomic_store(&python, NULL);
    atomic_store(&refused, false);
    half_started = false;
    said = 0;

    check(hem_places());
    (void)hem_python_keeps_thread();
    if (hem_python_ready())
        refuse("ready before it was started");
    bool started = hem_python_start(false);
    if (!started && said == 0 && !half_started)
        refuse("does not start, and says nothing");
    if (started && !hem_python_ready())
        refuse("started, and not ready");
    if (hem_python_start(true) != started)
        refuse("starts at another time");
    (void)hem_python_keeps_thread();
    CK_RV rv = CKR_GENERAL_ERROR;
    if (started)
        hem_python_call(&rv, "C_GetInfo", NULL);
    if (started && rv != CKR_OK)
        refuse("a call does not come through");
    free(disk.content[0]);
    free(disk.content[1]);
    return 0;
}
