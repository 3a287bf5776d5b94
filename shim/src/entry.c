/* The functions a PKCS #11 host calls, and the lists it finds them by.
 *
 * Every entry point checks its pointers, packs its arguments into words and hands them to
 * Python by name, which looks first whether there is such a session, and ends the operation that
 * a call with a missing pointer was for. The return value travels through a pointer that is preset to
 * CKR_GENERAL_ERROR, because a Python that fails leaves everything as it was, and 0 would
 * mean success. Only C_Initialize starts Python; before it, everything answers
 * CKR_CRYPTOKI_NOT_INITIALIZED from here, which is also what a host's exit handlers get.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "functions.h"
#include "runtime.h"

#define EXPORT __attribute__((visibility("default")))

/* --- one way into Python --------------------------------------------------------------- */

/* Python is started without its signal handlers, so a write to a closed connection would end
 * the host with SIGPIPE, and a write to a file at the host's limit of sizes (ulimit -f) with
 * SIGXFSZ. Hold these signals back for this thread, and take away those that our own writes raised. */
static const int write_signals[] = {SIGPIPE, SIGXFSZ};
enum { WRITE_SIGNALS = sizeof write_signals / sizeof *write_signals };

static void hold_write_signals(sigset_t *before, sigset_t *ours)
{
    sigset_t held, pending;

    sigemptyset(&pending);
    sigpending(&pending);
    sigemptyset(&held);
    sigemptyset(ours);
    for (size_t i = 0; i < WRITE_SIGNALS; i++) {
        sigaddset(&held, write_signals[i]);
        if (sigismember(&pending, write_signals[i]) != 1)
            sigaddset(ours, write_signals[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, before);
}

/* `ours`: those of which none was waiting before. */
static void release_write_signals(const sigset_t *before, const sigset_t *ours)
{
    const struct timespec now = {0, 0};

    while (sigtimedwait(ours, NULL, &now) != -1 || errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* The host's OpenSSL may be configured to do its work through this very module (pkcs11-provider). Our
 * own TLS must not, or checking the device's certificate comes back to us in the middle of a call.
 * So while we work, OpenSSL in this thread is a library context of ours, which has OpenSSL's own
 * algorithms only. Only OpenSSL 3 has contexts, and providers. */
typedef void *(*set_context)(void *);

struct openssl {
    void *(*create)(void);
    void (*destroy)(void *);
    set_context set;
};

/* libcrypto's functions, once it is loaded by whomever; it stays loaded then. */
static bool find_openssl(struct openssl *found)
{
    void *library = dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_NOLOAD);

    if (library == NULL)
        return false;
    *(void **)&found->create = dlsym(library, "OSSL_LIB_CTX_new");
    *(void **)&found->destroy = dlsym(library, "OSSL_LIB_CTX_free");
    *(void **)&found->set = dlsym(library, "OSSL_LIB_CTX_set0_default");
    return found->create != NULL && found->destroy != NULL && found->set != NULL;
}

/* Returns what sets the context back to *before, NULL when there is nothing to set. */
static set_context enter_own_openssl(void **before)
{
    static void *own; /* made once and kept; no lock, since a fork may come at any time */
    static set_context known; /* written after `own` */
    struct openssl openssl;
    set_context set = __atomic_load_n(&known, __ATOMIC_ACQUIRE);

    if (set == NULL) {
        if (!find_openssl(&openssl))
            return NULL;
        void *nothing = NULL, *made = openssl.create();
        if (made == NULL)
            return NULL;
        if (!__atomic_compare_exchange_n(&own, &nothing, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            openssl.destroy(made); /* another thread was first */
        set = openssl.set;
        __atomic_store_n(&known, set, __ATOMIC_RELEASE);
    }
    *before = set(__atomic_load_n(&own, __ATOMIC_ACQUIRE));
    return set;
}

struct call {
    const char *function;
    const uintptr_t *words;
    bool initializes;
    CK_RV rv;
};

static atomic_bool threads_forbidden; /* by the last C_Initialize that was served */

/* Whether the host has said, or says with this call, that a library can make no threads. */
static bool forbids_threads(const struct call *call)
{
    const CK_C_INITIALIZE_ARGS *arguments = call->initializes ? (const void *)call->words[0] : NULL;

    if (!call->initializes)
        return atomic_load(&threads_forbidden);
    return arguments != NULL && (arguments->flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS) != 0;
}

static void serve(void *argument)
{
    struct call *call = argument;
    sigset_t before, ours;
    void *openssl_before;
    set_context leave_own_openssl = enter_own_openssl(&openssl_before);

    hold_write_signals(&before, &ours);
    if (call->initializes && !hem_python_start(forbids_threads(call)))
        call->rv = CKR_GENERAL_ERROR;
    else if (!hem_python_ready())
        call->rv = CKR_CRYPTOKI_NOT_INITIALIZED;
    else
        hem_python_call(&call->rv, call->function, call->words);
    release_write_signals(&before, &ours);
    if (leave_own_openssl != NULL)
        leave_own_openssl(openssl_before);
}

/* The call of a thread whose stack is too small, on one of ours. */
static void serve_elsewhere(struct call *call)
{
    const char *why = forbids_threads(call) ? "this program forbids that the module makes one that has more"
                                            : hem_python_keeps_thread();

    if (why != NULL)
        hem_say("%s: this thread has too small a stack, and %s", call->function, why);
    if (why != NULL || !hem_run_on_own_stack(serve, call))
        call->rv = CKR_HOST_MEMORY;
}

static CK_RV call_python(const char *function, const uintptr_t *words, bool readable)
{
    /* What is preset stays if Python fails; CKR_ARGUMENTS_BAD tells it that a pointer is missing. */
    struct call call = {
        function, words, strcmp(function, "C_Initialize") == 0, readable ? CKR_GENERAL_ERROR : CKR_ARGUMENTS_BAD
    };
    int saved_errno = errno;

    if (!call.initializes && !hem_python_ready())
        call.rv = CKR_CRYPTOKI_NOT_INITIALIZED;
    else if (hem_stack_suffices())
        serve(&call);
    else
        serve_elsewhere(&call);
    if (call.initializes && call.rv == CKR_OK)
        atomic_store(&threads_forbidden, forbids_threads(&call));
    errno = saved_errno;
    return call.rv;
}

/* --- the entry points ------------------------------------------------------------------ */

#define DEFINE_FORWARD(name, parameters, guard, ...)                                               \
    EXPORT CK_RV name parameters                                                                   \
    {                                                                                              \
        const uintptr_t words[] = {__VA_ARGS__};                                                   \
        return call_python(#name, words, guard);                                                   \
    }
#define DECLARE_FORWARD(name, parameters, guard, ...) EXPORT CK_RV name parameters;
#define DECLARE_LOCAL(name, parameters) EXPORT CK_RV name parameters;
#define SKIP_LOCAL(name, parameters)

HEM_FUNCTIONS_2_40(DECLARE_FORWARD, DECLARE_LOCAL)
HEM_FUNCTIONS_3_0(DECLARE_FORWARD, DECLARE_LOCAL)
HEM_FUNCTIONS_3_2(DECLARE_FORWARD, DECLARE_LOCAL)

HEM_FUNCTIONS_2_40(DEFINE_FORWARD, SKIP_LOCAL)
HEM_FUNCTIONS_3_0(DEFINE_FORWARD, SKIP_LOCAL)
HEM_FUNCTIONS_3_2(DEFINE_FORWARD, SKIP_LOCAL)

/* Legacy of parallel sessions: the standard fixes the answer (5.20). */
CK_RV C_GetFunctionStatus(SESSION)
{
    (void)session;
    return CKR_FUNCTION_NOT_PARALLEL;
}

CK_RV C_CancelFunction(SESSION)
{
    (void)session;
    return CKR_FUNCTION_NOT_PARALLEL;
}

/* --- the function lists ---------------------------------------------------------------- */

/* A CK_FUNCTION_LIST: the version, then the functions in the standard's order. */
typedef void (*any_function)(void);

#define COUNT_FORWARD(name, parameters, guard, ...) +1
#define COUNT_LOCAL(name, parameters) +1
#define LIST_FORWARD(name, parameters, guard, ...) (any_function)name,
#define LIST_LOCAL(name, parameters) (any_function)name,

enum {
    COUNT_2_40 = 0 HEM_FUNCTIONS_2_40(COUNT_FORWARD, COUNT_LOCAL),
    COUNT_3_0 = COUNT_2_40 HEM_FUNCTIONS_3_0(COUNT_FORWARD, COUNT_LOCAL),
    COUNT_3_2 = COUNT_3_0 HEM_FUNCTIONS_3_2(COUNT_FORWARD, COUNT_LOCAL),
};
_Static_assert(COUNT_2_40 == 68, "2.40 has 68 functions");
_Static_assert(COUNT_3_0 == 92, "3.0 has 92 functions");
_Static_assert(COUNT_3_2 == 104, "3.2 has 104 functions");

/* The text sizes of the standard's structures on LP64: callers index into them. */
#define DEFINE_LIST(name, count, major_version, minor_version, ...)                                \
    static struct {                                                                                \
        CK_VERSION version;                                                                        \
        any_function functions[count];                                                             \
    } name = {{major_version, minor_version}, {__VA_ARGS__}};                                      \
    _Static_assert(sizeof name == (count + 1) * sizeof(any_function), "no padding but the first")

DEFINE_LIST(list_2_40, COUNT_2_40, 2, 40, HEM_FUNCTIONS_2_40(LIST_FORWARD, LIST_LOCAL));
DEFINE_LIST(list_3_0, COUNT_3_0, 3, 0,
            HEM_FUNCTIONS_2_40(LIST_FORWARD, LIST_LOCAL) HEM_FUNCTIONS_3_0(LIST_FORWARD, LIST_LOCAL));
DEFINE_LIST(list_3_2, COUNT_3_2, 3, 2,
            HEM_FUNCTIONS_2_40(LIST_FORWARD, LIST_LOCAL) HEM_FUNCTIONS_3_0(LIST_FORWARD, LIST_LOCAL)
                HEM_FUNCTIONS_3_2(LIST_FORWARD, LIST_LOCAL));

CK_RV C_GetFunctionList(void **list)
{
    if (list == NULL)
        return CKR_ARGUMENTS_BAD;
    *list = &list_2_40;
    return CKR_OK;
}

/* 2.40 callers and C_GetInterface(NULL) apart, a host names what it wants; newest first. */
static CK_UTF8CHAR interface_name[] = "PKCS 11";
static CK_INTERFACE interfaces_offered[] = {
    {interface_name, &list_3_2, 0},
    {interface_name, &list_3_0, 0},
    {interface_name, &list_2_40, 0},
};
enum { INTERFACE_COUNT = sizeof interfaces_offered / sizeof *interfaces_offered };

CK_RV C_GetInterfaceList(CK_INTERFACE *interfaces, CK_ULONG *count)
{
    if (count == NULL)
        return CKR_ARGUMENTS_BAD;
    CK_ULONG room = *count;
    *count = INTERFACE_COUNT;
    if (interfaces == NULL)
        return CKR_OK;
    if (room < INTERFACE_COUNT)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(interfaces, interfaces_offered, sizeof interfaces_offered);
    return CKR_OK;
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface,
                     CK_FLAGS flags)
{
    if (interface == NULL)
        return CKR_ARGUMENTS_BAD;
    *interface = NULL;
    if (name != NULL && strcmp((const char *)name, (const char *)interface_name) != 0)
        return CKR_FUNCTION_FAILED;
    for (size_t i = 0; i < INTERFACE_COUNT; i++) {
        const CK_VERSION *offered = interfaces_offered[i].pFunctionList;
        /* 3.1 has the functions of 3.0. */
        bool fits = version == NULL ||
                    (version->major == offered->major &&
                     (version->minor == offered->minor ||
                      (version->major == 3 && version->minor == 1 && offered->minor == 0)));
        if (fits && (interfaces_offered[i].flags & flags) == flags) {
            *interface = &interfaces_offered[i];
            return CKR_OK;
        }
    }
    return CKR_FUNCTION_FAILED;
}
