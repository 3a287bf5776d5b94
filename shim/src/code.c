/* Reading the compiled modules that Python code names, many at a time, and loading libraries.
 *
 * The import system takes a tenth of a millisecond to find, check and read one file; the module reads
 * some hundred when it starts. What is read here is checked as there: the byte code is that of this Python
 * and of the source as it is (PEP 552, by time and size). Two threads share the work, without Python's
 * lock: this one and, where the host lets us have threads, one that ends before this one goes on. */
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
    const char *source, *cached; /* of Python strings, which `work` outlives */
    enum { NO_SOURCE, NOT_GOOD, GOOD, NO_MEMORY, GIVEN } found;
    struct block *block; /* of GOOD, as what follows; the file is one of its users */
    char *bytes;
    size_t size;
};

struct library {
    const char *path;
    bool loaded;
};

struct work {
    struct file *files;
    struct library *libraries;
    size_t file_count, library_count;
    atomic_size_t next_file, next_library;
    uint32_t magic; /* of this Python's byte code */
};

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

/* Each takes what nobody has taken. Libraries first: they take longest, and the linker loads one at a time.
 * A library that is loaded needs its file no more: the linker finds it by its path among those that are
 * there. What it has for Python is not made before somebody imports it. */
static void do_work(struct work *work, bool libraries)
{
    struct space space = {NULL, 0};
    size_t i;

    while (libraries && (i = atomic_fetch_add(&work->next_library, 1)) < work->library_count)
        work->libraries[i].loaded = dlopen(work->libraries[i].path, RTLD_NOW | RTLD_LOCAL) != NULL;
    while ((i = atomic_fetch_add(&work->next_file, 1)) < work->file_count)
        read_file(&work->files[i], work->magic, &space);
    if (space.block != NULL)
        let_go(space.block);
}

static void *help(void *work)
{
    do_work(work, false);
    return NULL;
}

static atomic_bool alone; /* the host forbids threads */

void hem_code_works_alone(bool yes)
{
    atomic_store(&alone, yes);
}

/* A thread of ours takes none of the host's signals. */
static bool start_helper(pthread_t *helper, struct work *work)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    if (atomic_load(&alone) || work->file_count < WORTH_A_THREAD || pthread_attr_init(&attributes) != 0)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_attr_setstacksize(&attributes, STACK) == 0 &&
                   pthread_create(helper, &attributes, help, work) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

static void work_together(struct work *work)
{
    pthread_t helper;
    int cancelling;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling); /* the helper works with our memory */
    bool helped = start_helper(&helper, work);
    do_work(work, true);
    if (helped)
        pthread_join(helper, NULL);
    pthread_setcancelstate(cancelling, NULL);
}

/* --- for Python ------------------------------------------------------------------------------ */

/* Takes its use of the block over. None: there is no such source. Empty: its byte code is not good. */
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
        file->found = GIVEN;
    }
    return (PyObject *)code;
}

static bool note_files(struct work *work, PyObject *pairs)
{
    work->file_count = (size_t)PySequence_Fast_GET_SIZE(pairs);
    work->files = PyMem_Calloc(work->file_count + 1, sizeof *work->files);
    if (work->files == NULL)
        return PyErr_NoMemory() != NULL;
    for (size_t i = 0; i < work->file_count; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(pairs, (Py_ssize_t)i);
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "pairs of paths");
            return false;
        }
        if (!PyArg_ParseTuple(pair, "ss", &work->files[i].source, &work->files[i].cached))
            return false;
    }
    return true;
}

static bool note_libraries(struct work *work, PyObject *paths)
{
    work->library_count = (size_t)PySequence_Fast_GET_SIZE(paths);
    work->libraries = PyMem_Calloc(work->library_count + 1, sizeof *work->libraries);
    if (work->libraries == NULL)
        return PyErr_NoMemory() != NULL;
    for (size_t i = 0; i < work->library_count; i++) {
        work->libraries[i].path = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(paths, (Py_ssize_t)i));
        if (work->libraries[i].path == NULL)
            return false;
    }
    return true;
}

static PyObject *codes_of(struct work *work)
{
    PyObject *codes = PyList_New((Py_ssize_t)work->file_count);

    for (size_t i = 0; codes != NULL && i < work->file_count; i++) {
        PyObject *code = code_of(&work->files[i]);
        if (code == NULL)
            Py_CLEAR(codes);
        else
            PyList_SET_ITEM(codes, (Py_ssize_t)i, code);
    }
    return codes;
}

static PyObject *not_loaded(struct work *work, PyObject *paths)
{
    PyObject *failed = PyList_New(0);

    for (size_t i = 0; failed != NULL && i < work->library_count; i++)
        if (!work->libraries[i].loaded && PyList_Append(failed, PySequence_Fast_GET_ITEM(paths, (Py_ssize_t)i)) != 0)
            Py_CLEAR(failed);
    return failed;
}

static PyObject *run(struct work *work, PyObject *pairs, PyObject *paths)
{
    if (!note_files(work, pairs) || !note_libraries(work, paths))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    work_together(work);
    Py_END_ALLOW_THREADS
    PyObject *codes = codes_of(work);
    PyObject *failed = codes == NULL ? NULL : not_loaded(work, paths);
    for (size_t i = 0; i < work->file_count; i++)
        if (work->files[i].found == GOOD)
            let_go(work->files[i].block);
    return failed == NULL ? (Py_XDECREF(codes), NULL) : Py_BuildValue("NN", codes, failed);
}

static PyObject *read_code(PyObject *self, PyObject *arguments)
{
    PyObject *pairs, *paths;
    struct work work = {.magic = (uint32_t)PyImport_GetMagicNumber()};

    (void)self;
    if (!PyArg_ParseTuple(arguments, "OO:read", &pairs, &paths))
        return NULL;
    pairs = PySequence_Fast(pairs, "pairs of paths");
    paths = pairs == NULL ? NULL : PySequence_Fast(paths, "paths");
    PyObject *found = paths == NULL ? NULL : run(&work, pairs, paths);
    PyMem_Free(work.files);
    PyMem_Free(work.libraries);
    Py_XDECREF(pairs);
    Py_XDECREF(paths);
    return found;
}

static PyMethodDef functions[] = {
    {"read", read_code, METH_VARARGS,
     "read(pairs, libraries) -> (list, list): the byte code for each pair of source and cached file; empty "
     "where that is not good, None where there is no such source. And of the libraries, which stay loaded, "
     "those that cannot be."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_hem_code", NULL, -1, functions, NULL, NULL,
                                        NULL, NULL};

PyMODINIT_FUNC PyInit__hem_code(void)
{
    return PyType_Ready(&code_type) != 0 ? NULL : PyModule_Create(&definition);
}
