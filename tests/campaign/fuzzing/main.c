/* Runs a harness over files and folders, without libFuzzer: for compilers that have none. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long done;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(1 << 20);

    if (file == NULL || data == NULL) {
        perror(path);
        exit(2);
    }
    size_t size = fread(data, 1, 1 << 20, file);
    fclose(file);
    uint8_t *exact = malloc(size + 1); /* so that reading beyond it is seen */
    if (exact == NULL)
        exit(2);
    exact = realloc(exact, size > 0 ? size : 1);
    memcpy(exact, data, size);
    free(data);
    fprintf(stderr, "running %s\n", path);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    done++;
}

static void run_path(const char *path)
{
    struct stat status;
    struct dirent **entries;

    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char *below = NULL;
        if (entries[i]->d_name[0] != '.' && asprintf(&below, "%s/%s", path, entries[i]->d_name) > 0)
            run_path(below);
        free(below);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize != NULL)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("done %lu\n", done);
    return 0;
}
