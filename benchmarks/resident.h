/* What of this process's memory is resident, in KiB; -1 where that is not told. */
#include <stdio.h>
#include <string.h>

static long resident(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            sscanf(line + 6, "%ld", &kib);
    if (file != NULL)
        fclose(file);
    return kib;
}
