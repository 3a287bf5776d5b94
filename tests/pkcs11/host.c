/* A host program for tests: loads a PKCS #11 module as hosts do (RTLD_LOCAL) and runs commands.
 *
 *   host MODULE COMMAND…      each prints "COMMAND 0xRV" and what else there is to say
 *
 * It uses the function list alone, by the standard's positions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cryptoki.h"
#include "operations.h"

enum { /* positions in the function lists */
    INITIALIZE = 0, FINALIZE = 1, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12,
    CLOSE_SESSION = 13, LOGIN = 18, DESTROY = 22, GET_ATTRIBUTES = 24, FIND_INIT = 26, FIND = 27,
    FIND_FINAL = 28, DIGEST_INIT = 37, DIGEST = 38, SIGN_INIT = 42, SIGN = 43, VERIFY_INIT = 48,
    VERIFY = 49, GENERATE_KEY = 58, RANDOM = 64,
};

typedef CK_RV (*function)();
struct list {
    CK_VERSION version;
    function functions[68];
};

static struct list *p11;
static CK_ULONG session, key;
static const char *module_path;
static void *module;
static CK_ULONG ecdsa_sha256 = 0x1044, private_key_class = 3, ec = 3;
#define CALL(position) (p11->functions[position])

static CK_RV load(void)
{
    module = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    function get = (function)dlsym(module, "C_GetFunctionList");
    return get(&p11);
}

static CK_RV open_session(void)
{
    CK_ULONG slots[8], count = 8;
    CK_RV rv = CALL(GET_SLOT_LIST)((CK_BBOOL)1, slots, &count);
    if (rv != CKR_OK)
        return rv;
    if (count == 0)
        return 0xE0; /* CKR_TOKEN_NOT_PRESENT */
    return CALL(OPEN_SESSION)(slots[0], 6UL, NULL, NULL, &session);
}

static CK_RV login(const char *pin)
{
    return CALL(LOGIN)(session, 1UL, pin, (CK_ULONG)strlen(pin));
}

static CK_RV find_key(void)
{
    CK_ATTRIBUTE template[] = {
        {0x000, &private_key_class, sizeof private_key_class},
        {0x100, &ec, sizeof ec},
    };
    CK_ULONG count = 0;
    CK_RV rv = CALL(FIND_INIT)(session, template, 2UL);
    if (rv == CKR_OK)
        rv = CALL(FIND)(session, &key, 1UL, &count);
    if (rv == CKR_OK)
        rv = CALL(FIND_FINAL)(session);
    return rv == CKR_OK && count == 0 ? 0x60 : rv;
}

static CK_RV sign_in(CK_ULONG where)
{
    CK_MECHANISM mechanism = {ecdsa_sha256, NULL, 0};
    unsigned char signature[256];
    CK_ULONG length = sizeof signature;
    CK_RV rv = CALL(SIGN_INIT)(where, &mechanism, key);
    return rv != CKR_OK ? rv : CALL(SIGN)(where, "data", 4UL, signature, &length);
}

static CK_RV all(const char *pin)
{
    CK_RV rv = CALL(INITIALIZE)(NULL);
    if (rv == CKR_OK)
        rv = open_session();
    if (rv == CKR_OK)
        rv = login(pin);
    if (rv == CKR_OK)
        rv = find_key();
    if (rv == CKR_OK)
        rv = sign_in(session);
    return rv;
}

static CK_RV all_configured(void)
{
    CK_RV rv = CALL(INITIALIZE)(NULL);
    if (rv == CKR_OK)
        rv = open_session();
    if (rv == CKR_OK)
        rv = CALL(LOGIN)(session, 1UL, NULL, 0UL);
    if (rv == CKR_OK)
        rv = find_key();
    return rv != CKR_OK ? rv : sign_in(session);
}

/* --- forks while other threads are in the module ----------------------------------------- */

static atomic_bool stop;
static atomic_ulong worker_calls, worker_errors;

static void *worker(void *unused)
{
    CK_ULONG mine;
    (void)unused;
    if (CALL(OPEN_SESSION)(0UL, 6UL, NULL, NULL, &mine) != CKR_OK)
        worker_errors++;
    while (!atomic_load(&stop)) {
        if (sign_in(mine) != CKR_OK)
            worker_errors++;
        worker_calls++;
    }
    return NULL;
}

/* Children must not hang, must be told that they are not initialised, and can start anew. */
static CK_RV child(const char *pin)
{
    CK_BBOOL absent = 0;
    CK_ULONG count = 0;
    alarm(200); /* for what hangs, not for what is slow */
    if (CALL(GET_SLOT_LIST)(absent, NULL, &count) != CKR_CRYPTOKI_NOT_INITIALIZED)
        return 0xBAD;
    return pin == NULL ? CALL(INITIALIZE)(NULL) : all(pin);
}

static CK_RV forks(int number, int threads, const char *pin)
{
    pthread_t started[16];
    CK_RV worst = CKR_OK;
    for (int i = 0; i < threads; i++)
        pthread_create(&started[i], NULL, worker, NULL);
    for (int i = 0; i < number; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(pin) == CKR_OK ? 0 : 1);
        int status;
        waitpid(pid, &status, 0);
        if (status != 0) {
            printf("child %d: status %#x\n", i, status);
            worst = CKR_GENERAL_ERROR;
        }
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    if (worker_errors != 0 || (threads != 0 && worker_calls == 0)) {
        printf("workers: %lu calls, %lu errors\n", worker_calls, worker_errors);
        worst = CKR_FUNCTION_FAILED;
    }
    return worst != CKR_OK ? worst : sign_in(session);
}

/* --- mixed calls of many threads ---------------------------------------------------------- */

static CK_ULONG public_key;

/* The public half of the key that signs: the one with its CKA_ID. */
static CK_RV find_public(void)
{
    CK_ULONG class = 2, count = 0;
    unsigned char id[64];
    CK_ATTRIBUTE template[] = {{0x000, &class, sizeof class}, {0x102, id, sizeof id}};
    CK_RV rv = CALL(GET_ATTRIBUTES)(session, key, &template[1], 1UL);
    if (rv == CKR_OK)
        rv = CALL(FIND_INIT)(session, template, 2UL);
    if (rv == CKR_OK)
        rv = CALL(FIND)(session, &public_key, 1UL, &count);
    if (rv == CKR_OK)
        rv = CALL(FIND_FINAL)(session);
    return rv == CKR_OK && count != 1 ? 0x60 : rv;
}

static CK_RV mix_verify(CK_ULONG mine)
{
    CK_MECHANISM mechanism = {ecdsa_sha256, NULL, 0};
    unsigned char signature[64];
    CK_ULONG length = sizeof signature;
    CK_RV rv = CALL(SIGN_INIT)(mine, &mechanism, key);
    if (rv == CKR_OK)
        rv = CALL(SIGN)(mine, "data", 4UL, signature, &length);
    if (rv == CKR_OK)
        rv = CALL(VERIFY_INIT)(mine, &mechanism, public_key);
    if (rv == CKR_OK)
        rv = CALL(VERIFY)(mine, "data", 4UL, signature, length);
    if (rv != CKR_OK)
        return rv;
    rv = CALL(VERIFY_INIT)(mine, &mechanism, public_key);
    return rv != CKR_OK ? rv : CALL(VERIFY)(mine, "date", 4UL, signature, length) == 0xC0 ? CKR_OK : 0xBAD;
}

static CK_RV mix_digest(CK_ULONG mine)
{
    CK_MECHANISM sha256 = {0x250, NULL, 0};
    unsigned char digest[32];
    CK_ULONG length = sizeof digest;
    CK_RV rv = CALL(DIGEST_INIT)(mine, &sha256);
    if (rv == CKR_OK)
        rv = CALL(DIGEST)(mine, "abc", 3UL, digest, &length);
    return rv != CKR_OK ? rv : length == 32 && digest[0] == 0xBA && digest[31] == 0xAD ? CKR_OK : 0xBAD;
}

static CK_RV mix_random(CK_ULONG mine)
{
    unsigned char made[64];
    return CALL(RANDOM)(mine, made, (CK_ULONG)sizeof made);
}

static CK_RV mix_find(CK_ULONG mine)
{
    CK_ATTRIBUTE template[] = {{0x000, &private_key_class, sizeof private_key_class}};
    CK_ULONG found[16], count = 0;
    CK_RV rv = CALL(FIND_INIT)(mine, template, 1UL);
    if (rv == CKR_OK)
        rv = CALL(FIND)(mine, found, 16UL, &count);
    if (rv == CKR_OK)
        rv = CALL(FIND_FINAL)(mine);
    return rv == CKR_OK && count == 0 ? 0x60 : rv;
}

static CK_RV mix_attributes(CK_ULONG mine)
{
    unsigned char label[64], point[128];
    CK_ATTRIBUTE wanted[] = {{0x003, label, sizeof label}, {0x181, point, sizeof point}};
    return CALL(GET_ATTRIBUTES)(mine, public_key, wanted, 2UL);
}

static CK_RV mix_session(CK_ULONG mine)
{
    CK_ULONG other;
    CK_RV rv = CALL(OPEN_SESSION)(0UL, 4UL, NULL, NULL, &other);
    (void)mine;
    if (rv == CKR_OK)
        rv = sign_in(other);
    return rv != CKR_OK ? rv : CALL(CLOSE_SESSION)(other);
}

static CK_RV mix_token(CK_ULONG mine)
{
    unsigned char info[512];
    (void)mine;
    return CALL(GET_TOKEN_INFO)(0UL, info);
}

/* A readable session key: made and destroyed in memory. */
static CK_RV mix_key(CK_ULONG mine)
{
    CK_MECHANISM aes = {0x1080, NULL, 0};
    CK_BBOOL yes = 1, no = 0;
    CK_ULONG size = 32, made;
    CK_ATTRIBUTE template[] = {
        {0x001, &no, sizeof no}, {0x162, &yes, sizeof yes}, {0x161, &size, sizeof size},
    };
    CK_RV rv = CALL(GENERATE_KEY)(mine, &aes, template, 3UL, &made);
    return rv != CKR_OK ? rv : CALL(DESTROY)(mine, made);
}

static CK_RV (*const mixed[])(CK_ULONG) = {
    mix_verify, mix_digest, mix_random, mix_find, mix_attributes, mix_session, mix_token, mix_key,
};
enum { MIXED = sizeof mixed / sizeof mixed[0] };

static void *mixer(void *number)
{
    CK_ULONG mine;
    if (CALL(OPEN_SESSION)(0UL, 6UL, NULL, NULL, &mine) != CKR_OK)
        worker_errors++;
    /* Each thread begins elsewhere, so that different calls meet. */
    for (size_t i = (size_t)number; !atomic_load(&stop); i++) {
        CK_RV rv = mixed[i % MIXED](mine);
        if (rv != CKR_OK) {
            printf("workers: call %zu: %#lx\n", i % MIXED, rv);
            worker_errors++;
        }
        worker_calls++;
    }
    if (CALL(CLOSE_SESSION)(mine) != CKR_OK)
        worker_errors++;
    return NULL;
}

static CK_RV mix(int threads, long milliseconds)
{
    pthread_t started[16];
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    CK_RV rv = find_public();
    if (rv != CKR_OK)
        return rv;
    for (int i = 0; i < threads; i++)
        pthread_create(&started[i], NULL, mixer, (void *)(size_t)i);
    nanosleep(&time, NULL);
    atomic_store(&stop, 1);
    for (int i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    printf("workers: %lu calls, %lu errors\n", worker_calls, worker_errors);
    return worker_errors != 0 || worker_calls < (CK_ULONG)threads * MIXED ? CKR_FUNCTION_FAILED : sign_in(session);
}

/* --- workers that give up their privileges -------------------------------------------------- */

/* All at once, as a web server starts them; each initialises anew as nobody and signs, with the PIN
 * or, for "-", with what the configuration names. The master goes on. */
static CK_RV drop(int number, const char *pin)
{
    CK_RV worst = CKR_OK;
    for (int i = 0; i < number; i++)
        if (fork() == 0) {
            alarm(200); /* for what hangs, not for what is slow */
            if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
                _exit(2);
            CK_RV rv = *pin == '-' ? all_configured() : all(pin);
            for (int again = 0; again < 5 && rv == CKR_OK; again++)
                rv = sign_in(session);
            if (rv != CKR_OK)
                fprintf(stderr, "worker %d: %#lx\n", i, rv);
            _exit(rv == CKR_OK ? 0 : 1);
        }
    for (int i = 0; i < number; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            worst = CKR_GENERAL_ERROR;
    }
    return worst != CKR_OK ? worst : sign_in(session);
}

/* --- what hosts do to themselves -------------------------------------------------------------- */

/* From now on `who` cannot open what root alone may. */
static CK_RV become(uid_t who)
{
    return setgroups(0, NULL) == 0 && setgid(who) == 0 && setuid(who) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
}

static CK_RV limit(int what, rlim_t most)
{
    const struct rlimit both = {most, most};
    return setrlimit(what, &both) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
}

/* A sandbox that lets nobody make threads or processes from here on. */
static CK_RV sandbox(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    bool done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    return done ? CKR_OK : CKR_GENERAL_ERROR;
}

/* A file of the host's own that happens to get number 2. */
static CK_RV standard_error(const char *path)
{
    close(2);
    return open(path, O_WRONLY | O_CREAT, 0600) == 2 ? CKR_OK : CKR_GENERAL_ERROR;
}

static CK_RV initialise(CK_FLAGS flags)
{
    struct {
        void *functions[4];
        CK_FLAGS flags;
        void *reserved;
    } arguments = {{NULL}, flags, NULL};
    return CALL(INITIALIZE)(&arguments);
}

/* Whether so many slots have a token, asked one after another in this thread or in several. */
static CK_RV tokens(CK_ULONG wanted)
{
    CK_ULONG slots[8], count = 8;
    CK_RV rv = CALL(GET_SLOT_LIST)((CK_BBOOL)1, slots, &count);
    return rv != CKR_OK || count == wanted ? rv : 0xBAD;
}

/* pthread_create() is ours: it counts, and makes the thread by the C library's. */
static atomic_int threads_made;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    threads_made++;
    return real(thread, attributes, run, argument);
}

static CK_RV surround(const char *command, const char *argument)
{
    if (strcmp(command, "setuid") == 0)
        return become((uid_t)atol(argument));
    if (strcmp(command, "undump") == 0)
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
    if (strcmp(command, "chroot") == 0)
        return chroot(argument) == 0 && chdir("/") == 0 ? CKR_OK : CKR_GENERAL_ERROR;
    if (strcmp(command, "file-size") == 0)
        return limit(RLIMIT_FSIZE, (rlim_t)atol(argument));
    if (strcmp(command, "processes") == 0)
        return limit(RLIMIT_NPROC, (rlim_t)atol(argument));
    if (strcmp(command, "sandbox") == 0)
        return sandbox();
    if (strcmp(command, "sandbox-init") == 0) /* of this thread alone */
        return sandbox() == CKR_OK ? CALL(INITIALIZE)(NULL) : CKR_GENERAL_ERROR;
    if (strcmp(command, "standard-error") == 0)
        return standard_error(argument);
    if (strcmp(command, "init-flags") == 0)
        return initialise(strtoul(argument, NULL, 0));
    if (strcmp(command, "tokens") == 0)
        return tokens(strtoul(argument, NULL, 0));
    if (strcmp(command, "count-threads") == 0) {
        threads_made = 0;
        return CKR_OK;
    }
    if (strcmp(command, "threads-made") == 0)
        return threads_made == atoi(argument) ? CKR_OK : 0xBAD;
    if (strcmp(command, "all-configured") == 0)
        return all_configured();
    if (strcmp(command, "operations") == 0)
        return all_operations(p11->functions, session, argument);
    fprintf(stderr, "no command %s\n", command);
    exit(2);
}

/* The signal is neither blocked nor ignored, nor does one wait. */
static CK_RV untouched(int number)
{
    sigset_t blocked, waiting;
    struct sigaction action;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    sigpending(&waiting);
    sigaction(number, NULL, &action);
    return sigismember(&blocked, number) || sigismember(&waiting, number) || action.sa_handler != SIG_DFL
               ? 0xBAD
               : CKR_OK;
}

static void finalize_at_exit(void)
{
    CALL(FINALIZE)(NULL);
}

static CK_RV run(const char *command, const char *argument)
{
    if (strcmp(command, "load") == 0)
        return load();
    if (strcmp(command, "unload") == 0)
        return dlclose(module) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
    if (strcmp(command, "init") == 0)
        return CALL(INITIALIZE)(NULL);
    if (strcmp(command, "finalize") == 0)
        return CALL(FINALIZE)(NULL);
    if (strcmp(command, "open") == 0)
        return open_session();
    if (strcmp(command, "login") == 0)
        return login(argument);
    if (strcmp(command, "find") == 0)
        return find_key();
    if (strcmp(command, "sign") == 0)
        return sign_in(session);
    if (strcmp(command, "fork") == 0) /* NUMBER,THREADS: children only initialise */
        return forks(atoi(argument), atoi(strchr(argument, ',') + 1), NULL);
    if (strcmp(command, "fork-sign") == 0) /* PIN: a child that does everything */
        return forks(1, 0, argument);
    if (strcmp(command, "fork-threads-sign") == 0)
        return forks(3, 3, argument);
    if (strcmp(command, "mix") == 0) /* THREADS,MILLISECONDS */
        return mix(atoi(argument), atol(strchr(argument, ',') + 1));
    if (strcmp(command, "drop") == 0) /* NUMBER,PIN */
        return drop(atoi(argument), strchr(argument, ',') + 1);
    if (strcmp(command, "atexit") == 0)
        return atexit(finalize_at_exit) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
    if (strcmp(command, "pipe") == 0)
        return untouched(SIGPIPE);
    if (strcmp(command, "write-signals") == 0)
        return untouched(SIGPIPE) | untouched(SIGXFSZ);
    return surround(command, argument);
}

/* --- threads with a stack of any size ---------------------------------------------------------- */

static size_t stack_size; /* of the threads that commands run on; 0: they run in main() */
static size_t stack_used; /* by any of them at most */

struct job {
    const char *command, *argument;
    CK_RV rv;
};

static void *do_job(void *argument)
{
    struct job *job = argument;
    job->rv = run(job->command, job->argument);
    return NULL;
}

/* Below the stack is a page that nobody may touch; what nobody has written to shows how much was used. */
static CK_RV run_on_stack(const char *command, const char *argument)
{
    enum { PAINT = 0xA5, PAGE = 4096 };
    struct job job = {command, argument, CKR_GENERAL_ERROR};
    unsigned char *low = mmap(NULL, PAGE + stack_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *stack = low + PAGE;
    pthread_attr_t attributes;
    pthread_t thread;
    size_t untouched_bytes = 0;

    if (low == MAP_FAILED || mprotect(stack, stack_size, PROT_READ | PROT_WRITE) != 0)
        return CKR_GENERAL_ERROR;
    memset(stack, PAINT, stack_size);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, stack_size);
    threads_made--; /* the next is the host's own; before it runs, since it may count anew */
    if (pthread_create(&thread, &attributes, do_job, &job) != 0)
        return CKR_GENERAL_ERROR;
    pthread_join(thread, NULL);
    while (untouched_bytes < stack_size && stack[untouched_bytes] == PAINT)
        untouched_bytes++;
    if (stack_size - untouched_bytes > stack_used)
        stack_used = stack_size - untouched_bytes;
    munmap(low, PAGE + stack_size);
    return job.rv;
}

static CK_RV obey(const char *command, const char *argument)
{
    if (strcmp(command, "stack") == 0) { /* KIB: of all commands from here on */
        stack_size = strtoul(argument, NULL, 0) * 1024;
        return CKR_OK;
    }
    if (strcmp(command, "stack-used") == 0) { /* KIB: no command took more */
        printf("stack: %zu bytes\n", stack_used);
        return stack_used <= strtoul(argument, NULL, 0) * 1024 ? CKR_OK : 0xBAD;
    }
    return stack_size == 0 ? run(command, argument) : run_on_stack(command, argument);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    module_path = argv[1];
    load();
    for (int i = 2; i < argc; i++) {
        char *argument = strchr(argv[i], ':');
        if (argument != NULL)
            *argument++ = '\0';
        printf("%s %#lx\n", argv[i], obey(argv[i], argument));
    }
    return 0;
}
