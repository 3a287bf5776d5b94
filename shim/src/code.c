/* Reading the compiled modules that Python code names, many at a time.
 *
 * The import system takes a tenth of a millisecond to find, check and read one file; the module reads
 * some hundred when it starts. What is read here is checked as there: the byte code is that of this Python
 * and of the source as it is (PEP 552, by time and size). */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "code.h"

enum { HEADER = 16, LARGEST = 16 << 20 };

static uint32_t number_at(const unsigned char *place)
{
    return (uint32_t)place[0] | (uint32_t)place[1] << 8 | (uint32_t)place[2] << 16 | (uint32_t)place[3] << 24;
}

static bool belongs_to(const unsigned char header[HEADER], const struct stat *source)
{
    return number_at(header) == (uint32_t)PyImport_GetMagicNumber() && number_at(header + 4) == 0 &&
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

/* The byte code of an open file; NULL without an exception when it is not that of the source. */
static PyObject *byte_code_in(int file, const struct stat *source)
{
    unsigned char header[HEADER];
    struct stat status;

    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= HEADER ||
        status.st_size > LARGEST || !read_all(file, (char *)header, HEADER) || !belongs_to(header, source))
        return NULL;
    PyObject *code = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)status.st_size - HEADER);
    if (code != NULL && !read_all(file, PyBytes_AS_STRING(code), (size_t)status.st_size - HEADER))
        Py_CLEAR(code);
    return code;
}

/* None: there is no such source. Empty: its byte code is not good. */
static PyObject *byte_code(const char *source, const char *cached)
{
    struct stat status;

    if (stat(source, &status) != 0 || !S_ISREG(status.st_mode))
        Py_RETURN_NONE;
    int file = open(cached, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return PyBytes_FromStringAndSize(NULL, 0);
    PyObject *code = byte_code_in(file, &status);
    close(file);
    return code != NULL || PyErr_Occurred() ? code : PyBytes_FromStringAndSize(NULL, 0);
}

static PyObject *read_code(PyObject *self, PyObject *pairs)
{
    PyObject *each, *all = PySequence_Fast(pairs, "pairs of paths");
    PyObject *found = all == NULL ? NULL : PyList_New(0);

    (void)self;
    for (Py_ssize_t i = 0; found != NULL && i < PySequence_Fast_GET_SIZE(all); i++) {
        const char *source, *cached;
        PyObject *code = NULL;
        each = PySequence_Fast_GET_ITEM(all, i);
        if (!PyTuple_Check(each))
            PyErr_SetString(PyExc_TypeError, "pairs of paths");
        else if (PyArg_ParseTuple(each, "ss", &source, &cached))
            code = byte_code(source, cached);
        if (code == NULL || PyList_Append(found, code) != 0)
            Py_CLEAR(found);
        Py_XDECREF(code);
    }
    Py_XDECREF(all);
    return found;
}

/* A library that is loaded needs its file no more: the linker finds it by its path among those that are
 * there. What it has for Python is not made before somebody imports it. */
static PyObject *load_code(PyObject *self, PyObject *paths)
{
    PyObject *all = PySequence_Fast(paths, "paths");
    PyObject *failed = all == NULL ? NULL : PyList_New(0);

    (void)self;
    for (Py_ssize_t i = 0; failed != NULL && i < PySequence_Fast_GET_SIZE(all); i++) {
        PyObject *each = PySequence_Fast_GET_ITEM(all, i);
        const char *path = PyUnicode_AsUTF8(each);
        if (path == NULL || (dlopen(path, RTLD_NOW | RTLD_LOCAL) == NULL && PyList_Append(failed, each) != 0))
            Py_CLEAR(failed);
    }
    Py_XDECREF(all);
    return failed;
}

static PyMethodDef functions[] = {
    {"read", read_code, METH_O,
     "read(pairs) -> list: the byte code for each pair of source and cached file; empty where that is not "
     "good, None where there is no such source."},
    {"load", load_code, METH_O, "load(paths) -> list: load libraries for good; those that cannot be."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_hem_code", NULL, -1, functions, NULL, NULL,
                                        NULL, NULL};

PyMODINIT_FUNC PyInit__hem_code(void)
{
    return PyModule_Create(&definition);
}
