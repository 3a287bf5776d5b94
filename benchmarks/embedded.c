/* An interpreter in a host's process and what a module like ours cannot do without, but nothing of ours: runs
 * each argument; prints the resident memory of the process in KiB before and after. Usage: embedded STATEMENT… */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "resident.h"

int main(int argc, char **argv)
{
    PyConfig config;
    long before = resident();

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.write_bytecode = 0;
    if (PyStatus_Exception(Py_InitializeFromConfig(&config)))
        return 2;
    for (int i = 1; i < argc; i++)
        if (PyRun_SimpleString(argv[i]) != 0)
            return 1;
    printf("before %ld after %ld\n", before, resident());
    return 0;
}
