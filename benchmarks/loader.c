/* Loads a PKCS#11 module as a host does, initialises it and asks for its slots; prints the resident
 * memory of the process in KiB before and after. Usage: loader MODULE. */
#include <dlfcn.h>
#include "resident.h"

typedef unsigned long CK_ULONG;

int main(int argc, char **argv)
{
    CK_ULONG (*initialize)(void *), (*slots)(unsigned char, CK_ULONG *, CK_ULONG *);
    CK_ULONG count = 0;
    long before = resident();
    void *module = argc < 2 ? NULL : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

    if (module == NULL) {
        fprintf(stderr, "loader: %s\n", argc < 2 ? "no module named" : dlerror());
        return 2;
    }
    *(void **)&initialize = dlsym(module, "C_Initialize");
    *(void **)&slots = dlsym(module, "C_GetSlotList");
    if (initialize == NULL || slots == NULL || initialize(NULL) != 0 || slots(0, NULL, &count) != 0) {
        fprintf(stderr, "loader: the module does not start\n");
        return 1;
    }
    printf("before %ld after %ld slots %lu\n", before, resident(), count);
    return 0;
}
