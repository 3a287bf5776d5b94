/* A host program for tests: loads a PKCS #11 module as hosts do (RTLD_LOCAL) and runs commands.
 *
 *   host MODULE COMMAND…      each prints "COMMAND 0xRV" and what else there is to say
 *
 * It uses the function list alone, by the standard's positions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cryptoki.h"

enum { /* positions in the function lists */
    INITIALIZE = 0, FINALIZE = 1, GET_SLOT_LIST = 4, OPEN_SESSION = 12, CLOSE_SESSION = 13,
    LOGIN = 18, FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, SIGN_INIT = 42, SIGN = 43,
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
    alarm(60);
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
    if (strcmp(command, "atexit") == 0)
        return atexit(finalize_at_exit) == 0 ? CKR_OK : CKR_GENERAL_ERROR;
    if (strcmp(command, "pipe") == 0) { /* SIGPIPE must be neither blocked nor ignored */
        sigset_t blocked;
        struct sigaction action;
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        sigaction(SIGPIPE, NULL, &action);
        return !sigismember(&blocked, SIGPIPE) && action.sa_handler == SIG_DFL ? CKR_OK : 0xBAD;
    }
    fprintf(stderr, "no command %s\n", command);
    exit(2);
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
        printf("%s %#lx\n", argv[i], run(argv[i], argument));
    }
    return 0;
}
