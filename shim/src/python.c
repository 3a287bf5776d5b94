/* Starting and keeping a Python interpreter inside somebody else's process.
 *
 * - The interpreter is isolated: no PYTHON* variables, no user site, no site module, no signal
 *   handlers, no byte code written, UTF-8 whatever the host's locale. It finds the standard library
 *   and our packages by the place of this library (places.c), nowhere else: a foreign environment cannot
 *   put its code in place of ours.
 * - fork() from C is followed by Python's own hooks; without them a child hangs in its first
 *   call when another thread was inside Python.
 * - We never finalise Python: exit handlers of the host may still call us. A host that is Python
 *   itself does; from then on every function answers CKR_CRYPTOKI_NOT_INITIALIZED, and a Python that
 *   the host starts again is not ours to use: what we had in the first one is gone.
 * - Only the main interpreter serves: a call from a subinterpreter is refused.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "code.h"
#include "places.h"
#include "runtime.h"

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static enum { NOT_TRIED, FAILED, READY } state = NOT_TRIED; /* guarded by start_lock */
static atomic_bool ready;
static atomic_bool ended;  /* Python has ended, or is about to */
static atomic_int inside;  /* calls that are in Python */
static bool interpreter_is_ours; /* written once, before `ready` */

/* --- starting --------------------------------------------------------------------------- */

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x
#define OUR_VERSION TEXT(PY_MAJOR_VERSION) "." TEXT(PY_MINOR_VERSION)

static PyStatus append_path(PyConfig *config, const char *path)
{
    wchar_t *wide = Py_DecodeLocale(path, NULL);
    if (wide == NULL)
        return PyStatus_NoMemory();
    PyStatus status = PyWideStringList_Append(&config->module_search_paths, wide);
    PyMem_RawFree(wide);
    return status;
}

static PyStatus configure(PyConfig *config, const struct hem_places *where)
{
    char program[PATH_MAX + sizeof "/bin/python" OUR_VERSION];
    const struct {
        wchar_t **field;
        const char *value;
    } places[] = {
        /* All known beforehand: nothing is looked up along PATH. */
        {&config->program_name, program},
        {&config->executable, program},
        {&config->base_executable, program},
        {&config->prefix, where->prefix},
        {&config->base_prefix, where->prefix},
        {&config->exec_prefix, where->prefix},
        {&config->base_exec_prefix, where->prefix},
        {&config->stdlib_dir, where->stdlib},
    };
    PyStatus status = PyStatus_Ok();

    snprintf(program, sizeof program, "%s/bin/python" OUR_VERSION, where->prefix);

    config->site_import = 0;
    config->install_signal_handlers = 0;
    config->write_bytecode = 0;
    config->parse_argv = 0;
    config->pathconfig_warnings = 0;
    config->module_search_paths_set = 1;
    for (size_t i = 0; i < sizeof places / sizeof *places && !PyStatus_Exception(status); i++)
        status = PyConfig_SetBytesString(config, places[i].field, places[i].value);
    if (!PyStatus_Exception(status))
        status = append_path(config, where->stdlib);
    if (!PyStatus_Exception(status))
        status = append_path(config, where->dynload);
    for (size_t i = 0; i < where->package_count && !PyStatus_Exception(status); i++)
        status = append_path(config, where->packages[i]);
    return status;
}

/* Paths of the configuration are UTF-8, and most hosts have called no setlocale(). */
static PyStatus prepare(void)
{
    PyPreConfig config;

    PyPreConfig_InitIsolatedConfig(&config);
    config.utf8_mode = 1;
    return Py_PreInitialize(&config);
}

static bool start_interpreter(const struct hem_places *where)
{
    PyConfig config;
    PyStatus status = prepare();

    PyConfig_InitIsolatedConfig(&config);
    if (!PyStatus_Exception(status) && PyImport_AppendInittab("_hem_code", PyInit__hem_code) != 0)
        status = PyStatus_NoMemory();
    if (!PyStatus_Exception(status))
        status = configure(&config, where);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        hem_say("Python %s cannot start (standard library expected in %s): %s", OUR_VERSION,
                where->stdlib, status.err_msg != NULL ? status.err_msg : "no reason given");
        return false;
    }
    PyEval_SaveThread(); /* whoever calls next takes the lock itself */
    return true;
}

/* A host that is Python already keeps its own order of search; ours fills what is missing. */
static bool extend_host_path(const struct hem_places *where)
{
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *path = PySys_GetObject("path"); /* borrowed */
    bool done = path != NULL && PyList_Check(path);

    for (size_t i = 0; i < where->package_count && done; i++) {
        PyObject *entry = PyUnicode_DecodeFSDefault(where->packages[i]);
        int present = entry == NULL ? -1 : PySequence_Contains(path, entry);
        done = present > 0 || (present == 0 && PyList_Append(path, entry) == 0);
        Py_XDECREF(entry);
    }
    PyErr_Clear();
    PyGILState_Release(held);
    if (!done)
        hem_say("this program's Python does not take the module's search path");
    return done;
}

static void python_ended(void)
{
    atomic_store(&ended, true);
}

/* At the very end of Py_Finalize(), should our hook in Python (hem_pkcs11.bridge) not have run. */
static void watch_the_end(void)
{
    PyGILState_STATE held = PyGILState_Ensure();

    (void)Py_AtExit(python_ended);
    PyGILState_Release(held);
}

static bool start(void)
{
    const struct hem_places *where = hem_places();
    const char *problem = Py_IsInitialized() ? where->packages_problem : where->python_problem;

    if (*problem != '\0') {
        hem_say("%s", problem);
        return false;
    }
    if (Py_IsInitialized()) {
        if (!extend_host_path(where))
            return false;
    } else {
        if (!start_interpreter(where))
            return false;
        interpreter_is_ours = true;
    }
    watch_the_end();
    if (hem_load_bridge() != 0) {
        hem_say("the module's Python code cannot be loaded from %s", where->packages[0]);
        return false;
    }
    return true;
}

/* --- who comes in ------------------------------------------------------------------------ */

/* The thread state that this thread runs Python with now, holding the lock; NULL: it does not. */
static PyThreadState *running_here(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return PyThreadState_GetUnchecked();
#else
    PyThreadState *current = _PyThreadState_UncheckedGet(); /* until 3.11 of any thread */

    return current != NULL && current == PyGILState_GetThisThreadState() ? current : NULL;
#endif
}

static bool runs_python(void)
{
    return Py_IsInitialized() && running_here() != NULL;
}

static bool in_main_interpreter(void)
{
    PyThreadState *mine = running_here();

    if (mine == NULL)
        mine = PyGILState_GetThisThreadState();
    return mine == NULL || PyThreadState_GetInterpreter(mine) == PyInterpreterState_Main();
}

static bool python_is_ending(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

/* Whether this thread may be served now; says why not where that is no normal end. */
static bool may_start(void)
{
    const char *why = NULL;

    if (atomic_load(&ended) || python_is_ending())
        why = "this program's Python has ended, and the module with it; only a new process can use it";
    else if (Py_IsInitialized() && !in_main_interpreter())
        why = "called from a subinterpreter of this program's Python: only the main interpreter can use the "
              "module (mod_wsgi: WSGIApplicationGroup %{GLOBAL}), or a process of its own (p11-kit server)";
    if (why != NULL)
        hem_say("%s", why);
    return why == NULL;
}

/* Threads of a Python host may come in holding the interpreter's lock, which loading needs in
 * turn: let go of it while waiting for another thread that is loading. */
static void lock_start(void)
{
    if (runs_python()) {
        PyThreadState *saved = PyEval_SaveThread();
        pthread_mutex_lock(&start_lock);
        PyEval_RestoreThread(saved);
    } else {
        pthread_mutex_lock(&start_lock);
    }
}

static bool is_ready(void)
{
    return atomic_load(&ready) && !atomic_load(&ended);
}

static bool start_once(bool alone)
{
    hem_code_works_alone(alone);
    if (!may_start())
        return false;
    if (is_ready())
        return true;
    lock_start();
    if (state == NOT_TRIED) {
        state = start() ? READY : FAILED;
        atomic_store(&ready, state == READY);
    }
    bool result = state == READY;
    pthread_mutex_unlock(&start_lock);
    return result;
}

/* Counted, so that the end can wait for those inside: Python kills threads that come back to it
 * later, wherever they are. */
static void call(CK_RV *rv, const char *function, const uintptr_t *words)
{
    atomic_fetch_add(&inside, 1);
    if (!is_ready() || !Py_IsInitialized() || python_is_ending())
        *rv = CKR_CRYPTOKI_NOT_INITIALIZED;
    else if (in_main_interpreter())
        hem_dispatch(rv, function, words);
    else
        (void)may_start(); /* says why not */
    atomic_fetch_sub(&inside, 1);
}

int hem_python_leave(int milliseconds)
{
    const struct timespec millisecond = {0, 1000000};

    atomic_store(&ended, true);
    while (atomic_load(&inside) > 0 && milliseconds-- > 0)
        nanosleep(&millisecond, NULL);
    return atomic_load(&inside) <= 0;
}

__attribute__((visibility("default"))) const struct hem_python *hem_python_table(void)
{
    static const struct hem_python table = {start_once, is_ready, runs_python, call, hem_places};

    return &table;
}

/* --- fork ------------------------------------------------------------------------------- */

/* In a host that is Python itself, its os.fork() runs the interpreter's hooks already. */
static PyGILState_STATE held_over_fork; /* these three: between prepare and parent or child */
static bool locked_over_fork;
static bool hooks_ran;

/* From 3.14 on Python looks at how much is left of the stack, and ends the process within its margin of 16 KiB,
 * which is all that the smallest stacks have. The hooks take less, as with older ones (test_small_stacks.py),
 * and the page below the stack is there as it was: Python is told of a stack that goes on. The first of 3.14
 * cannot be told. */
static void lift_stack_limit(void)
{
    enum { MORE = 256 * 1024, KNOWN = 16 * 1024 };
    int (*tell)(PyThreadState *, void *, size_t);

    *(void **)&tell = dlsym(RTLD_DEFAULT, "PyUnstable_ThreadState_SetStackProtection");
    if (tell != NULL &&
        tell(PyThreadState_Get(), (char *)__builtin_frame_address(0) - MORE, MORE + KNOWN) != 0)
        PyErr_Clear();
}

static void before_fork(void)
{
    /* A child must not inherit a half-made start. A thread of a Python host cannot wait for one,
     * though: it holds the interpreter's lock, which the start may need. */
    if (!is_ready() && runs_python())
        locked_over_fork = pthread_mutex_trylock(&start_lock) == 0;
    else
        locked_over_fork = pthread_mutex_lock(&start_lock) == 0;
    hooks_ran = interpreter_is_ours && is_ready() && Py_IsInitialized() && !python_is_ending();
    if (hooks_ran) {
        held_over_fork = PyGILState_Ensure();
        if (held_over_fork == PyGILState_UNLOCKED && !hem_stack_suffices())
            lift_stack_limit();
        PyOS_BeforeFork();
    }
}

static void after_fork_in_parent(void)
{
    if (hooks_ran) {
        PyOS_AfterFork_Parent();
        PyGILState_Release(held_over_fork);
    }
    if (locked_over_fork)
        pthread_mutex_unlock(&start_lock);
}

static void after_fork_in_child(void)
{
    atomic_store(&inside, 0);
    if (hooks_ran) {
        PyOS_AfterFork_Child();
        /* This thread's state is the only one in the child, and stays: Python 3.11 takes one that it
         * believes to be in use when it makes the next after none was left, and aborts. */
        if (held_over_fork == PyGILState_UNLOCKED)
            PyEval_SaveThread();
        else
            PyGILState_Release(held_over_fork);
    }
    if (locked_over_fork) {
        pthread_mutex_unlock(&start_lock);
    } else { /* forked in the middle of a start: this process cannot finish it */
        pthread_mutex_init(&start_lock, NULL);
        state = FAILED;
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
