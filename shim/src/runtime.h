/* Between the entry points and the Python interpreter. */
#ifndef HEM_RUNTIME_H
#define HEM_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "cryptoki.h"
#include "places.h"

/* --- of interpreter.c: finds Python and loads the other half ------------------------------- */

/* Starts Python and loads our package once per process; later calls answer at once what the
 * first one did. Returns false, having said why, when Python cannot serve. Any thread.
 * `alone`: the host forbids that we make threads. */
bool hem_python_start(bool alone);

/* Whether hem_python_start() has succeeded and Python has not ended since. Never starts anything. */
bool hem_python_ready(void);

/* Runs a function in Python, once hem_python_ready(). Leaves *rv alone when Python fails; sets
 * CKR_CRYPTOKI_NOT_INITIALIZED when it has ended meanwhile. */
void hem_python_call(CK_RV *rv, const char *function, const uintptr_t *words);

/* Why this thread's call cannot run on another thread, NULL where it can: a thread of a program that is
 * Python itself may hold the interpreter's lock, which the other would wait for. */
const char *hem_python_keeps_thread(void);

/* --- of stack.c, in both halves -------------------------------------------------------------- */

/* Whether there is as much left of this thread's stack as a call takes. */
bool hem_stack_suffices(void);

/* Runs `function` on a thread with a stack of ours and waits for its end. Returns false, having said why,
 * when there can be none. */
bool hem_run_on_own_stack(void (*function)(void *), void *argument);

/* --- of python.c, the half that is written for Python ---------------------------------------- */

struct hem_python {
    bool (*start)(bool alone);
    bool (*ready)(void);
    bool (*running_here)(void); /* whether this thread runs Python now, holding its lock */
    void (*call)(CK_RV *rv, const char *function, const uintptr_t *words);
    const struct hem_places *(*places)(void); /* for hem_provider/cli/built.py */
};

/* The only symbol that libhem_python.so gives away. */
const struct hem_python *hem_python_table(void);

/* For our Python code, when its interpreter ends: lets no call in any more. Waits at most so many
 * milliseconds for those that are inside; 1 when none is left, else 0. */
int hem_python_leave(int milliseconds);

/* --- of say.c, in both halves ----------------------------------------------------------------- */

/* Says one line to people: to standard error, or where HEM_PKCS11_LOG points. */
void hem_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- written by cffi, in the half for Python -------------------------------------------------- */

/* Loads our Python code into the running interpreter; 0 = done. */
int hem_load_bridge(void);

/* The one way into Python. Leaves *rv alone when Python fails. */
void hem_dispatch(CK_RV *rv, const char *function, const uintptr_t *words);

#endif
