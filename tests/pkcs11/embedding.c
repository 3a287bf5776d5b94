/* A host program with a Python of its own: starts it and ends it around the module.
 *
 *   embedding MODULE COMMAND…      each prints "COMMAND 0xRV"
 *
 * Linked with libpython, as programs are that embed Python.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long (*function)();

static void *module;

static unsigned long named(const char *name, void *argument)
{
    unsigned long count = 0;
    function called = (function)dlsym(module, name);

    if (strcmp(name, "C_GetSlotList") == 0)
        return called((unsigned char)0, NULL, &count);
    return called(argument);
}

static void finalize_at_exit(void)
{
    printf("at-exit %#lx\n", named("C_Finalize", NULL));
}

/* Without the packages that the machine may have for this Python. */
static void start_python(void)
{
    PyConfig config;

    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.site_import = 0;
    (void)Py_InitializeFromConfig(&config); /* Py_IsInitialized() tells */
    PyConfig_Clear(&config);
}

static unsigned long run(const char *command)
{
    if (strcmp(command, "start") == 0) {
        if (Py_IsInitialized()) /* by the module */
            PyGILState_Ensure();
        else
            start_python();
        return Py_IsInitialized() ? 0 : 1;
    }
    if (strcmp(command, "end") == 0)
        return Py_FinalizeEx() == 0 ? 0 : 1;
    if (strcmp(command, "python") == 0)
        return PyRun_SimpleString("import json; assert json.dumps([]) == '[]'") == 0 ? 0 : 1;
    if (strcmp(command, "at-exit") == 0)
        return atexit(finalize_at_exit) == 0 ? 0 : 1;
    return named(command, NULL);
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    module = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    for (int i = 2; i < count; i++)
        printf("%s %#lx\n", words[i], run(words[i]));
    return 0;
}
