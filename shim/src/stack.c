/* Threads whose stack is too small for Python, OpenSSL and what they load.
 *
 * Hosts choose it: stunnel's threads have 64 KiB, others 16. Below a stack lies a page that ends the process,
 * or somebody else's memory, so that no call is tried where little is left: it runs on a thread of ours,
 * while the host's waits.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>

#include "runtime.h"

/* Bytes. Measured is what calls take at most (test_small_stacks.py): 36 KiB with Python 3.11 and OpenSSL
 * 3.0, 60 KiB with Python 3.13 and OpenSSL 3.5, whose key exchange takes most. */
enum { NEEDED = 128 * 1024, OURS = 512 * 1024 };

/* The lowest address of this thread's stack and the one above it; both 0 until asked, or where the C
 * library does not know (no /proc, which it reads for a program's first thread). */
static __thread uintptr_t lowest, above;
static __thread bool asked;

static void ask(void)
{
    pthread_attr_t attributes;
    void *address;
    size_t size;

    asked = true;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &address, &size) == 0) {
        lowest = (uintptr_t)address;
        above = lowest + size;
    }
    pthread_attr_destroy(&attributes);
}

bool hem_stack_suffices(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (!asked)
        ask();
    /* Elsewhere than on the thread's stack (coroutines) nobody knows how much there is. */
    return here < lowest || here >= above || here - lowest >= NEEDED;
}

struct work {
    void (*function)(void *);
    void *argument;
};

static void *run(void *argument)
{
    const struct work *work = argument;

    work->function(work->argument);
    return NULL;
}

/* It has the caller's mask of signals, as what the call starts in turn (passphrase_command) has. */
static int start(pthread_t *thread, struct work *work)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);

    if (error != 0)
        return error;
    error = pthread_attr_setstacksize(&attributes, OURS);
    if (error == 0)
        error = pthread_create(thread, &attributes, run, work);
    pthread_attr_destroy(&attributes);
    return error;
}

bool hem_run_on_own_stack(void (*function)(void *), void *argument)
{
    struct work work = {function, argument};
    pthread_t thread;
    int cancelling;
    int error = start(&thread, &work);

    if (error != 0) {
        hem_say("this thread's stack has less than %d KiB left, and no thread can be made that has more: %s",
                NEEDED / 1024, strerror(error));
        return false;
    }
    /* Ours works with what lies on this stack. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    pthread_join(thread, NULL);
    pthread_setcancelstate(cancelling, NULL);
    return true;
}
