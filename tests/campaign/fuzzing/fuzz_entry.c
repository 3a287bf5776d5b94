/* The entry layer alone: entry.c, stack.c and say.c, with a stand-in for the half that knows Python.
 *
 * The stand-in reads through every pointer that Python would read through, and fills what Python would fill, so
 * that AddressSanitizer sees a guard that lets a bad pointer pass. What the C library answers is chosen by the
 * input where the layer has a way for it: no thread to be had, no knowledge of the stack, another kind of
 * standard error. Held against each call: its return value, errno, the mask of signals, what signals wait, which
 * context OpenSSL has, and that a missing pointer is the only reason for CKR_ARGUMENTS_BAD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "runtime.h"

/* --- the C library, as the input has it ---------------------------------------------------- */

/* The layer is compiled with these names in place of the C library's own (build.py). */

static struct {
    bool no_thread, no_attributes, no_stack, no_size; /* pthread's failures */
    bool elsewhere;                                   /* the stack is not this thread's */
    bool no_context, no_functions;                    /* OpenSSL's */
    int standard_error;                               /* a file, FIFO, terminal, socket of a kind, or none */
} machine;

int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    return machine.no_thread ? EAGAIN : pthread_create(thread, attributes, run, argument);
}

int fuzz_pthread_attr_init(pthread_attr_t *attributes);
int fuzz_pthread_attr_init(pthread_attr_t *attributes)
{
    return machine.no_attributes ? ENOMEM : pthread_attr_init(attributes);
}

int fuzz_pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size);
int fuzz_pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
{
    return machine.no_size ? EINVAL : pthread_attr_setstacksize(attributes, size);
}

int fuzz_pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes);
int fuzz_pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    return machine.no_stack ? ENOENT : pthread_getattr_np(thread, attributes);
}

int fuzz_pthread_attr_getstack(const pthread_attr_t *attributes, void **address, size_t *size);
int fuzz_pthread_attr_getstack(const pthread_attr_t *attributes, void **address, size_t *size)
{
    int error = pthread_attr_getstack(attributes, address, size);

    if (error == 0 && machine.elsewhere)
        *size = 1;
    return error;
}

int fuzz_fstat(int descriptor, struct stat *status);
int fuzz_fstat(int descriptor, struct stat *status)
{
    static const mode_t modes[] = {S_IFIFO, S_IFCHR, S_IFSOCK, S_IFSOCK, S_IFREG};
    enum { KINDS = sizeof modes / sizeof *modes };

    if (descriptor != STDERR_FILENO)
        return fstat(descriptor, status);
    memset(status, 0, sizeof *status);
    if (machine.standard_error >= KINDS)
        return -1;
    status->st_mode = modes[machine.standard_error];
    return 0;
}

int fuzz_isatty(int descriptor);
int fuzz_isatty(int descriptor)
{
    return descriptor == STDERR_FILENO && machine.standard_error == 1;
}

int fuzz_getsockopt(int descriptor, int level, int name, void *value, socklen_t *size);
int fuzz_getsockopt(int descriptor, int level, int name, void *value, socklen_t *size)
{
    (void)descriptor, (void)level, (void)name, (void)size;
    *(int *)value = machine.standard_error == 2 ? AF_UNIX : AF_INET;
    return 0;
}

static int own_file = -1; /* where HEM_PKCS11_LOG may point */

ssize_t fuzz_write(int descriptor, const void *data, size_t size);
ssize_t fuzz_write(int descriptor, const void *data, size_t size)
{
    static const char prefix[] = "hem-pkcs11: ";

    if (size < sizeof prefix || size > 1024 || memcmp(data, prefix, sizeof prefix - 1) != 0 ||
        ((const char *)data)[size - 1] != '\n' || memchr(data, '\0', size) != NULL)
        wrong("hem_say writes %zu bytes that are no line of ours", size);
    if (descriptor == STDERR_FILENO && machine.standard_error >= 3 && getenv("HEM_PKCS11_LOG") == NULL)
        wrong("a line is written into what may be the host's own file");
    return descriptor == STDERR_FILENO ? (ssize_t)size : write(descriptor, data, size);
}

/* --- OpenSSL -------------------------------------------------------------------------------- */

static void *context_now; /* what is in force in this thread: we have one that calls at a time */

static char own_context[4], spare_context[4];
static bool other_thread_first; /* creating a context, another thread makes one, too */
static size_t destroyed;

static void *create_context(void)
{
    static bool inside;

    if (machine.no_context)
        return NULL;
    if (other_thread_first && !inside) {
        inside = true; /* a call in the middle of this one */
        C_GetInfo(NULL);
        inside = false;
        return spare_context;
    }
    return own_context;
}

static void destroy_context(void *context)
{
    if (context != spare_context)
        wrong("a context is destroyed that is in use");
    destroyed++;
}

static void *set_context(void *context)
{
    void *before = context_now;

    context_now = context;
    return before;
}

void *fuzz_dlopen(const char *path, int flags);
void *fuzz_dlopen(const char *path, int flags)
{
    (void)flags;
    return path == NULL || strcmp(path, "libcrypto.so.3") != 0 || machine.no_functions ? NULL : own_context;
}

void *fuzz_dlsym(void *library, const char *name);
void *fuzz_dlsym(void *library, const char *name)
{
    (void)library;
    if (strcmp(name, "OSSL_LIB_CTX_new") == 0)
        return (void *)create_context;
    if (strcmp(name, "OSSL_LIB_CTX_free") == 0)
        return (void *)destroy_context;
    return strcmp(name, "OSSL_LIB_CTX_set0_default") == 0 ? (void *)set_context : NULL;
}

/* --- the half that knows Python -------------------------------------------------------------- */

static struct run run;
static bool ready, starts, threads_of_python;
static const struct function *current;
static struct {
    uint8_t behaviour, fill, signals;
    CK_RV answer;
    bool called, seen_missing;
} python;

bool hem_python_start(bool alone)
{
    (void)alone;
    if (starts)
        ready = true;
    else
        hem_say("this Python does not start: %s", run.words[0] == 0 ? "no reason" : "some reason");
    return starts;
}

bool hem_python_ready(void)
{
    return ready;
}

const char *hem_python_keeps_thread(void)
{
    return threads_of_python ? "runs Python itself" : NULL;
}

void hem_python_call(CK_RV *rv, const char *function, const uintptr_t *words)
{
    sigset_t mask;

    python.called = true;
    if (current != NULL && strcmp(function, current->name) != 0)
        wrong("%s comes to Python as %s", current->name, function);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGPIPE) || !sigismember(&mask, SIGXFSZ))
        wrong("%s: Python works with SIGPIPE or SIGXFSZ let through", function);
    if (context_now != own_context && !machine.no_context && !machine.no_functions)
        wrong("%s: Python works with the host's OpenSSL context", function);
    if (python.signals & 1)
        raise(SIGPIPE);
    if (python.signals & 2)
        raise(SIGXFSZ);
    errno = EPIPE;
    if (*rv == CKR_ARGUMENTS_BAD) {
        python.seen_missing = true;
        if (current != NULL && !run.missing)
            wrong("%s: CKR_ARGUMENTS_BAD, and no pointer is missing", function);
        return;
    }
    if (*rv != CKR_GENERAL_ERROR)
        wrong("%s: 0x%lx is preset", function, *rv);
    if (current == NULL) {
        *rv = CKR_OK;
        return;
    }
    if (python.behaviour == 255) /* Python fails */
        return;
    touch_words(current->kinds, words, python.fill, false);
    if (python.behaviour < 192)
        touch_words(current->kinds, words, python.fill, true);
    *rv = python.answer;
}

/* --- a call and what must hold of it ---------------------------------------------------------- */

static CK_RV expected(const struct function *function, bool was_ready, bool small, CK_RV answered)
{
    bool initializes = strcmp(function->name, "C_Initialize") == 0;

    if (!initializes && !was_ready)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (small && !python.called && answered != CKR_GENERAL_ERROR)
        return CKR_HOST_MEMORY;
    if (initializes && !starts)
        return CKR_GENERAL_ERROR;
    if (!python.called)
        wrong("%s does not come to Python", function->name);
    if (python.seen_missing)
        return CKR_ARGUMENTS_BAD;
    return python.behaviour == 255 ? CKR_GENERAL_ERROR : python.answer;
}

struct attempt {
    const struct function *function;
    bool small;
    CK_RV rv;
};

static void *attempt(void *argument)
{
    struct attempt *attempt = argument;
    sigset_t before, after, pending;
    bool was_ready = ready;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    errno = 4711;
    python.called = python.seen_missing = false;
    attempt->rv = call_function(attempt->function, run.words);
    if (errno != 4711)
        wrong("%s changes errno", attempt->function->name);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    sigpending(&pending);
    for (int signal = 1; signal < 32; signal++)
        if (sigismember(&before, signal) != sigismember(&after, signal))
            wrong("%s leaves signal %d masked otherwise", attempt->function->name, signal);
    if (sigismember(&pending, SIGPIPE) != sigismember(&before, SIGPIPE))
        wrong("%s: a SIGPIPE %s", attempt->function->name,
              sigismember(&pending, SIGPIPE) ? "is left waiting" : "of the host's is gone");
    if (sigismember(&pending, SIGXFSZ))
        wrong("%s leaves a SIGXFSZ waiting", attempt->function->name);
    CK_RV right = expected(attempt->function, was_ready, attempt->small, attempt->rv);
    if (attempt->rv != right)
        wrong("%s answers 0x%lx instead of 0x%lx", attempt->function->name, attempt->rv, right);
    if (context_now != NULL)
        wrong("%s leaves OpenSSL another context", attempt->function->name);
    check_guards(&run, attempt->function->name);
    return NULL;
}

/* On this thread, or on one with a stack of 64 KiB and what AddressSanitizer wants besides. */
static CK_RV try_call(const struct function *function, bool small)
{
    struct attempt made = {function, small, 0};
    pthread_attr_t attributes;
    pthread_t thread;

    if (!small) {
        attempt(&made);
        return made.rv;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 96 * 1024);
    if (pthread_create(&thread, &attributes, attempt, &made) != 0)
        abort();
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return made.rv;
}

/* A host that holds SIGPIPE back itself and has one waiting. */
static void with_waiting_signal(const struct function *function)
{
    sigset_t pipe, before;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    raise(SIGPIPE);
    attempt(&(struct attempt){function, false, 0});
    int signal;
    sigwait(&pipe, &signal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- what answers by itself ------------------------------------------------------------------- */

static void lists(struct bytes *bytes)
{
    CK_INTERFACE room[4];
    CK_ULONG count = take_byte(bytes) & 7;
    void *list = NULL;
    uint8_t pick = take_byte(bytes);
    char name[9] = "PKCS 11";
    CK_VERSION version = {take_byte(bytes) & 3, take_byte(bytes)};
    CK_INTERFACE *found = NULL;

    if (C_GetFunctionList(pick & 1 ? &list : NULL) != (pick & 1 ? CKR_OK : CKR_ARGUMENTS_BAD) ||
        (pick & 1) != (list != NULL))
        wrong("C_GetFunctionList");
    CK_ULONG given = count;
    CK_RV rv = C_GetInterfaceList(pick & 2 && count <= 4 ? room : NULL, pick & 4 ? &count : NULL);
    CK_RV right = !(pick & 4)                           ? CKR_ARGUMENTS_BAD
                  : pick & 2 && given <= 4 && given < 3 ? CKR_BUFFER_TOO_SMALL
                                                        : CKR_OK;
    if (rv != right || (pick & 4 && count != 3))
        wrong("C_GetInterfaceList answers 0x%lx instead of 0x%lx, %lu interfaces", rv, right, count);
    if (pick & 8)
        name[take_byte(bytes) & 7] = (char)take_byte(bytes);
    rv = C_GetInterface(pick & 16 ? (CK_UTF8CHAR *)name : NULL, pick & 32 ? &version : NULL, pick & 64 ? &found : NULL,
                        pick & 128 ? take_byte(bytes) : 0);
    if ((rv == CKR_OK) != (found != NULL) || !is_standard(rv))
        wrong("C_GetInterface answers 0x%lx", rv);
    if (found != NULL && pick & 32 &&
        ((const CK_VERSION *)found->pFunctionList)->major != version.major)
        wrong("C_GetInterface gives another version");
    if (C_GetFunctionStatus(count) != CKR_FUNCTION_NOT_PARALLEL || C_CancelFunction(count) != CKR_FUNCTION_NOT_PARALLEL)
        wrong("a function of parallel sessions");
}

static void set_log(struct bytes *bytes)
{
    static char large[5000];
    char place[64];

    memset(large, 'x', sizeof large - 1);
    snprintf(place, sizeof place, "/proc/self/fd/%d%s", own_file, take_byte(bytes) & 1 ? ":error" : "");
    const char *const settings[] = {
        NULL, "", "off", "stderr", "stderr:debug", large, place, "/dev/null:info", "/nowhere/at/all", "/:error",
    };
    const char *chosen = settings[take_byte(bytes) % (sizeof settings / sizeof *settings)];
    if (chosen == NULL)
        unsetenv("HEM_PKCS11_LOG");
    else
        setenv("HEM_PKCS11_LOG", chosen, 1);
}

static void say_something(struct bytes *bytes)
{
    static char text[4096];
    size_t size = 16 * (size_t)take_byte(bytes);

    memset(text, 'a' + take_byte(bytes) % 26, size);
    text[size] = '\0';
    hem_say("%s", text);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    own_file = memfd_create("log", MFD_CLOEXEC);
    /* What happens once in a process: OpenSSL is not there yet, has no memory, and two threads find it at the
     * same time. */
    ready = true;
    machine.no_functions = true;
    C_GetInfo(NULL);
    machine.no_functions = false;
    machine.no_context = true;
    C_GetInfo(NULL);
    machine.no_context = false;
    other_thread_first = true;
    C_GetInfo(NULL);
    if (destroyed != 1 || context_now != NULL)
        wrong("of two contexts for OpenSSL %zu were given back", destroyed);
    other_thread_first = ready = false;
    return 0;
}

/* What the C library answers, as the input says; the rare ways are chosen rarely. */
static void choose_machine(struct bytes *bytes)
{
    uint8_t pick = take_byte(bytes), more = take_byte(bytes);

    memset(&machine, 0, sizeof machine);
    machine.standard_error = more & 7;
    if (pick < 192)
        return;
    machine.no_thread = pick & 32;
    machine.no_attributes = pick & 2;
    machine.no_size = pick & 4;
    machine.no_stack = pick & 8;
    machine.elsewhere = pick & 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;

    if (++runs % 4096 == 0 && ftruncate(own_file, 0) != 0)
        abort();
    /* From the same beginning each time: an input tells the whole of what it finds. */
    memset(&machine, 0, sizeof machine);
    current = NULL;
    starts = true;
    C_Initialize(NULL);
    unsetenv("HEM_PKCS11_LOG");
    run_begin(&run, data, size);
    choose_machine(&run.bytes);
    ready = size > 0 && data[0] & 1;
    int smalls = 0; /* a thread takes as long as a hundred calls */
    for (int i = 0; i < MOST_CALLS && run.bytes.at < run.bytes.end; i++) {
        uint8_t which = take_byte(&run.bytes), how = take_byte(&run.bytes);
        if (which >= 240) {
            current = NULL;
            ((void (*const[])(struct bytes *)){lists, set_log, say_something, choose_machine})[which & 3](&run.bytes);
            continue;
        }
        current = &functions[which % function_count];
        make_words(&run, current);
        python.behaviour = take_byte(&run.bytes);
        python.fill = take_byte(&run.bytes);
        python.signals = how >> 4 & 3;
        python.answer = python.behaviour < 128 ? CKR_OK : CKR_FUNCTION_FAILED;
        starts = (how & 15) != 0;
        threads_of_python = how == 255;
        if ((how & 15) == 7)
            ready = false; /* Python has ended */
        if (how == 250)
            with_waiting_signal(current);
        else
            keep_result(&run, current, try_call(current, how >= 252 && smalls++ < 2));
    }
    run_end(&run);
    return 0;
}
