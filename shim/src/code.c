/* Reading the compiled modules that Python code names, many at a time, and loading libraries.
 *
 * The import system takes a tenth of a millisecond to find, check and read one file; the module keeps
 * some hundred from its start on. What is read here is checked as there: the byte code is that of this Python
 * and of the source as it is (PEP 552, by time and size). A thread of ours reads, where the host lets us have
 * one, while Python goes on: what is wanted before it was come to is read by who wants it, and who finishes
 * shares what is left. The thread ends before that is done. */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "code.h"

enum { HEADER = 16, LARGEST = 16 << 20, WORTH_A_THREAD = 32, STACK = 256 * 1024, BLOCK = 1 << 20 };

static uint32_t number_at(const unsigned char *place)
{
    return (uint32_t)place[0] | (uint32_t)place[1] << 8 | (uint32_t)place[2] << 16 | (uint32_t)place[3] << 24;
}

static bool belongs_to(const unsigned char header[HEADER], const struct stat *source, uint32_t magic)
{
    return number_at(header) == magic && number_at(header + 4) == 0 &&
           number_at(header + 8) == (uint32_t)source->st_mtime &&
           number_at(header + 12) == (uint32_t)source->st_size;
}

static bool read_all(int file, char *into, size_t size)
{
    while (size > 0) {
        ssize_t got = read(file, into, size);
        if (got <= 0)
            return false;
        into += got;
        size -= (size_t)got;
    }
    return true;
}

/* --- memory --------------------------------------------------------------------------------- */

/* What a thread has read lies in blocks of its own, each given back when nothing in it is used any more:
 * the C library's heaps grow by a page at a time where a thread is not the first, and keep the other waiting. */
struct block {
    size_t size;
    atomic_size_t users;
    char bytes[];
};

/* A thread's newest block, which it is one of the users of. */
struct space {
    struct block *block;
    size_t used;
};

static void let_go(struct block *block)
{
    if (atomic_fetch_sub(&block->users, 1) == 1)
        munmap(block, block->size);
}

static bool new_block(struct space *space, size_t at_least)
{
    size_t size = at_least + sizeof *space->block > BLOCK ? at_least + sizeof *space->block : BLOCK;
    struct block *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        return false;
    if (space->block != NULL)
        let_go(space->block);
    block->size = size;
    atomic_init(&block->users, 1);
    *space = (struct space){block, 0};
    return true;
}

/* NULL: no memory. The caller becomes a user of the space's block. */
static char *take(struct space *space, size_t size)
{
    if ((space->block == NULL || space->block->size - sizeof *space->block - space->used < size) &&
        !new_block(space, size))
        return NULL;
    char *bytes = space->block->bytes + space->used;
    space->used += size;
    atomic_fetch_add(&space->block->users, 1);
    return bytes;
}

/* --- byte code as Python sees it ---------------------------------------------------------- */

/* Read-only memory of a block: what was read is not copied. */
struct code {
    PyObject_HEAD
    struct block *block;
    char *bytes;
    Py_ssize_t size;
};

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    struct code *code = (struct code *)self;

    return PyBuffer_FillInfo(view, self, code->bytes, code->size, 1, flags);
}

static void free_code(PyObject *self)
{
    let_go(((struct code *)self)->block);
    Py_TYPE(self)->tp_free(self);
}

static PyBufferProcs buffer_of_code = {.bf_getbuffer = get_buffer};

static PyTypeObject code_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_hem_code.Code",
    .tp_doc = "Byte code that was read; a buffer.",
    .tp_basicsize = sizeof(struct code),
    .tp_dealloc = free_code,
    .tp_as_buffer = &buffer_of_code,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* --- the work ------------------------------------------------------------------------------- */

struct file {
    const char *source, *cached; /* of Python strings, which the reading outlives */
    atomic_int state;            /* whoever makes it TAKEN is the one who reads it */
    enum { NO_SOURCE, NOT_GOOD, GOOD, NO_MEMORY } found; /* of DONE, as what follows */
    struct block *block;                                 /* of GOOD; the file is one of its users */
    char *bytes;
    size_t size;
};
enum { FREE, TAKEN, DONE, GIVEN };

/* The byte code of an open file. */
static void read_open(struct file *wanted, int file, const struct stat *source, uint32_t magic,
                      struct space *space)
{
    unsigned char header[HEADER];
    struct stat status;

    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= HEADER ||
        status.st_size > LARGEST || !read_all(file, (char *)header, HEADER) ||
        !belongs_to(header, source, magic))
        return;
    wanted->size = (size_t)status.st_size - HEADER;
    wanted->bytes = take(space, wanted->size);
    wanted->found = wanted->bytes == NULL ? NO_MEMORY : GOOD;
    if (wanted->bytes == NULL)
        return;
    wanted->block = space->block;
    if (!read_all(file, wanted->bytes, wanted->size)) {
        wanted->found = NOT_GOOD;
        let_go(wanted->block);
    }
}

static void read_file(struct file *wanted, uint32_t magic, struct space *space)
{
    struct stat source;

    wanted->found = NO_SOURCE;
    if (stat(wanted->source, &source) != 0 || !S_ISREG(source.st_mode))
        return;
    wanted->found = NOT_GOOD;
    int file = open(wanted->cached, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    read_open(wanted, file, &source, magic, space);
    close(file);
}

/* Of one call of Reading(). */
struct reading {
    PyObject_HEAD
    PyObject *pairs; /* whose strings the files name */
    struct file *files;
    size_t file_count;
    uint32_t magic; /* of this Python's byte code */
    struct space space; /* of who holds Python's lock */
    pid_t begun_in;
    bool helped;
    pthread_t helper;
    atomic_bool enough;  /* the helper takes no more */
    atomic_size_t waiting;
    pthread_mutex_t lock; /* of those who wait for a file that another reads */
    pthread_cond_t done;
};

/* Whether this thread was the one to read it; false: it is read, or being read. */
static bool read_if_free(struct reading *reading, struct file *file, struct space *space)
{
    int expected = FREE;

    if (!atomic_compare_exchange_strong(&file->state, &expected, TAKEN))
        return false;
    read_file(file, reading->magic, space);
    atomic_store(&file->state, DONE);
    if (atomic_load(&reading->waiting) > 0) {
        pthread_mutex_lock(&reading->lock);
        pthread_cond_broadcast(&reading->done);
        pthread_mutex_unlock(&reading->lock);
    }
    return true;
}

static void *help(void *argument)
{
    struct reading *reading = argument;
    struct space space = {NULL, 0};

    for (size_t i = 0; i < reading->file_count && !atomic_load(&reading->enough); i++)
        (void)read_if_free(reading, &reading->files[i], &space);
    if (space.block != NULL)
        let_go(space.block);
    return NULL;
}

static atomic_bool alone; /* the host forbids threads */

void hem_code_works_alone(bool yes)
{
    atomic_store(&alone, yes);
}

/* A thread of ours takes none of the host's signals. */
static bool start_helper(struct reading *reading)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    if (atomic_load(&alone) || reading->file_count < WORTH_A_THREAD || pthread_attr_init(&attributes) != 0)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_attr_setstacksize(&attributes, STACK) == 0 &&
                   pthread_create(&reading->helper, &attributes, help, reading) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

/* The helper works with our memory, and is waited for whatever becomes of this thread. In a child that the
 * host forked meanwhile there is none: what it had begun is begun anew. */
static void part_from_helper(struct reading *reading)
{
    int cancelling;

    if (!reading->helped)
        return;
    reading->helped = false;
    if (reading->begun_in == getpid()) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
        pthread_join(reading->helper, NULL);
        pthread_setcancelstate(cancelling, NULL);
        return;
    }
    atomic_store(&reading->waiting, 0);
    for (size_t i = 0; i < reading->file_count; i++)
        if (atomic_load(&reading->files[i].state) == TAKEN)
            atomic_store(&reading->files[i].state, FREE);
}

/* The helper has it: a few microseconds, or as long as a slow file system takes. */
static void wait_for(struct reading *reading, struct file *file)
{
    pthread_mutex_lock(&reading->lock);
    atomic_fetch_add(&reading->waiting, 1);
    while (atomic_load(&file->state) == TAKEN)
        pthread_cond_wait(&reading->done, &reading->lock);
    atomic_fetch_sub(&reading->waiting, 1);
    pthread_mutex_unlock(&reading->lock);
}

/* A library that is loaded needs its file no more: the linker finds it by its path among those that are
 * there. What it has for Python is not made before somebody imports it. */
static void load_and_finish(struct reading *reading, const char *const *libraries, bool *loaded, size_t count)
{
    struct space space = {NULL, 0}; /* the other one is for who has Python's lock */

    if (reading->begun_in != getpid())
        part_from_helper(reading);
    for (size_t i = 0; i < count; i++)
        loaded[i] = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL) != NULL;
    for (size_t i = 0; i < reading->file_count; i++)
        (void)read_if_free(reading, &reading->files[i], &space);
    if (space.block != NULL)
        let_go(space.block);
    part_from_helper(reading);
}

/* --- for Python ------------------------------------------------------------------------------ */

static bool note_files(struct reading *reading)
{
    reading->file_count = (size_t)PySequence_Fast_GET_SIZE(reading->pairs);
    reading->files = PyMem_Calloc(reading->file_count + 1, sizeof *reading->files);
    if (reading->files == NULL)
        return PyErr_NoMemory() != NULL;
    for (size_t i = 0; i < reading->file_count; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(reading->pairs, (Py_ssize_t)i);
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "pairs of paths");
            return false;
        }
        if (!PyArg_ParseTuple(pair, "ss", &reading->files[i].source, &reading->files[i].cached))
            return false;
    }
    return true;
}

static PyObject *new_reading(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"pairs", NULL};
    PyObject *pairs;

    if (!PyArg_ParseTupleAndKeywords(arguments, named, "O:Reading", names, &pairs))
        return NULL;
    struct reading *reading = (struct reading *)type->tp_alloc(type, 0); /* all zero */
    if (reading == NULL)
        return NULL;
    pthread_mutex_init(&reading->lock, NULL);
    pthread_cond_init(&reading->done, NULL);
    reading->magic = (uint32_t)PyImport_GetMagicNumber();
    reading->begun_in = getpid();
    reading->pairs = PySequence_Tuple(pairs); /* nobody changes it */
    if (reading->pairs == NULL || !note_files(reading)) {
        Py_DECREF(reading);
        return NULL;
    }
    reading->helped = start_helper(reading);
    return (PyObject *)reading;
}

static void free_reading(PyObject *self)
{
    struct reading *reading = (struct reading *)self;

    atomic_store(&reading->enough, true);
    part_from_helper(reading);
    for (size_t i = 0; reading->files != NULL && i < reading->file_count; i++)
        if (reading->files[i].state == DONE && reading->files[i].found == GOOD)
            let_go(reading->files[i].block);
    if (reading->space.block != NULL)
        let_go(reading->space.block);
    PyMem_Free(reading->files);
    Py_XDECREF(reading->pairs);
    pthread_cond_destroy(&reading->done);
    pthread_mutex_destroy(&reading->lock);
    Py_TYPE(self)->tp_free(self);
}

/* Takes the file's use of the block over. */
static PyObject *code_of(struct file *file)
{
    if (file->found == NO_SOURCE)
        Py_RETURN_NONE;
    if (file->found == NO_MEMORY)
        return PyErr_NoMemory();
    if (file->found == NOT_GOOD)
        return PyBytes_FromStringAndSize(NULL, 0);
    struct code *code = PyObject_New(struct code, &code_type);
    if (code != NULL) {
        code->block = file->block;
        code->bytes = file->bytes;
        code->size = (Py_ssize_t)file->size;
        atomic_store(&file->state, GIVEN);
    }
    return (PyObject *)code;
}

static PyObject *give_code(PyObject *self, PyObject *place)
{
    struct reading *reading = (struct reading *)self;
    size_t i = PyLong_AsSize_t(place);

    if (i == (size_t)-1 && PyErr_Occurred())
        return NULL;
    if (i >= reading->file_count || atomic_load(&reading->files[i].state) == GIVEN) {
        PyErr_Format(PyExc_IndexError, "%zu of %zu files; each is given once", i, reading->file_count);
        return NULL;
    }
    struct file *file = &reading->files[i];
    if (reading->begun_in != getpid())
        part_from_helper(reading);
    if (!read_if_free(reading, file, &reading->space) && atomic_load(&file->state) == TAKEN) {
        Py_BEGIN_ALLOW_THREADS
        wait_for(reading, file);
        Py_END_ALLOW_THREADS
    }
    return code_of(file);
}

static PyObject *not_loaded(PyObject *paths, const bool *loaded)
{
    PyObject *failed = PyList_New(0);

    for (Py_ssize_t i = 0; failed != NULL && i < PyTuple_GET_SIZE(paths); i++)
        if (!loaded[i] && PyList_Append(failed, PyTuple_GET_ITEM(paths, i)) != 0)
            Py_CLEAR(failed);
    return failed;
}

static bool note_libraries(PyObject *paths, const char **libraries)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(paths); i++) {
        libraries[i] = PyUnicode_AsUTF8(PyTuple_GET_ITEM(paths, i));
        if (libraries[i] == NULL)
            return false;
    }
    return true;
}

static PyObject *finish(PyObject *self, PyObject *given)
{
    PyObject *paths = PySequence_Tuple(given), *failed = NULL;
    size_t count = paths == NULL ? 0 : (size_t)PyTuple_GET_SIZE(paths);
    const char **libraries = PyMem_Calloc(count + 1, sizeof *libraries);
    bool *loaded = PyMem_Calloc(count + 1, sizeof *loaded);

    if (paths != NULL && (libraries == NULL || loaded == NULL))
        PyErr_NoMemory();
    else if (paths != NULL && note_libraries(paths, libraries)) {
        Py_BEGIN_ALLOW_THREADS
        load_and_finish((struct reading *)self, libraries, loaded, count);
        Py_END_ALLOW_THREADS
        failed = not_loaded(paths, loaded);
    }
    PyMem_Free(libraries);
    PyMem_Free(loaded);
    Py_XDECREF(paths);
    return failed;
}

static PyMethodDef methods_of_reading[] = {
    {"code", give_code, METH_O,
     "code(place): the byte code for this pair; empty where that is not good, None where there is no such "
     "source. Code is given once."},
    {"finish", finish, METH_O,
     "finish(libraries) -> list: read what is left, and load these libraries, which stay; those that cannot "
     "be."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject reading_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_hem_code.Reading",
    .tp_doc = "Reading(pairs): begins to read the byte code for each pair of source and cached file.",
    .tp_basicsize = sizeof(struct reading),
    .tp_new = new_reading,
    .tp_dealloc = free_reading,
    .tp_methods = methods_of_reading,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_hem_code", NULL, -1, NULL, NULL, NULL,
                                        NULL, NULL};

PyMODINIT_FUNC PyInit__hem_code(void)
{
    PyObject *module = NULL;

    if (PyType_Ready(&code_type) == 0 && PyType_Ready(&reading_type) == 0)
        module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddObjectRef(module, "Reading", (PyObject *)&reading_type) != 0)
        Py_CLEAR(module);
    return module;
}
