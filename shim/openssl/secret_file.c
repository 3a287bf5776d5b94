/* Files that hold a secret, held to the rules of hem_provider/trust.py. */
#define _GNU_SOURCE
#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"

enum { LINKS_MAX = 40 }; /* as the kernel follows */

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

/* A path on its way to the file: what is resolved, and what is still to come. */
struct walk {
    char here[PATH_MAX]; /* without a slash at its end: "" is the root */
    char pending[PATH_MAX];
};

static bool refuse(const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hem_error(HEM_R_PIN_NEEDED, "%s", text);
    return false;
}

static bool unreadable(const char *path, const char *what)
{
    return refuse("cannot read %s '%.200s': %s", what, path, strerror(errno));
}

/* In a user namespace that does not show every user (a sandbox), the id that stands for all others:
 * the system's directories bear it there. -1 when there is none. */
static long hidden_owner(void)
{
    unsigned long inside, outside, count;
    long hidden = -1;
    FILE *file = fopen("/proc/self/uid_map", "re");

    if (file == NULL)
        return -1;
    while (fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3)
        if (inside == 0 && count == 4294967295UL) {
            fclose(file);
            return -1;
        }
    fclose(file);
    file = fopen("/proc/sys/kernel/overflowuid", "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%ld", &hidden) != 1)
        hidden = -1;
    fclose(file);
    return hidden;
}

static bool ours(const struct stat *status, bool folder)
{
    return status->st_uid == 0 || status->st_uid == geteuid() ||
           (folder && (long)status->st_uid == hidden_owner());
}

static bool everybodys(const char *path)
{
    static const char *const places[] = {"/", "/tmp", "/var/tmp", "/dev/shm", "/run/lock"};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(path, places[i]) == 0)
            return true;
    return false;
}

static bool refuse_mode(const char *path, const struct stat *status, const char *verb,
                        const char *what, const char *right)
{
    unsigned mode = status->st_mode & 07777;

    if (everybodys(path))
        return refuse("%.200s: others may %s %s (mode %04o); keep the file in a directory of your own",
                      path, verb, what, mode);
    if (status->st_uid == geteuid())
        return refuse("%.200s: others may %s %s (mode %04o); run: chmod %s '%.200s'", path, verb, what,
                      mode, right, path);
    return refuse("%.200s: others may %s %s (mode %04o); it belongs to root, who alone can change that",
                  path, verb, what, mode);
}

static bool refuse_owner(const char *path, const struct stat *status, const char *what)
{
    return refuse("%.200s: %s belongs to user id %lu; it must belong to user id %lu or to root", path,
                  what, (unsigned long)status->st_uid, (unsigned long)geteuid());
}

static bool check_type(const char *path, mode_t mode, const char *what)
{
    if (S_ISREG(mode))
        return true;
    return refuse("%.200s: %s must be a regular file; this is %s", path, what,
                  S_ISDIR(mode)    ? "a directory"
                  : S_ISCHR(mode)  ? "a character device"
                  : S_ISBLK(mode)  ? "a block device"
                  : S_ISFIFO(mode) ? "a FIFO"
                                   : "a socket");
}

static bool check_file(const char *path, const struct stat *status, const char *what)
{
    mode_t mode = status->st_mode;

    if (!check_type(path, mode, what))
        return false;
    if (!ours(status, false))
        return refuse_owner(path, status, what);
    if (mode & OTHERS_WRITE)
        return refuse_mode(path, status, "write", what, "go-rwx");
    if ((mode & S_IROTH) || ((mode & S_IRGRP) && status->st_uid != 0))
        return refuse_mode(path, status, "read", what, "go-rwx");
    return true;
}

static bool check_folder(const char *folder, bool nearest)
{
    const char *name = nearest ? "the directory of the file" : "a directory on the way to the file";
    struct stat status;

    if (stat(folder, &status) != 0)
        return unreadable(folder, name);
    if (!ours(&status, !nearest))
        return refuse_owner(folder, &status, name);
    if ((status.st_mode & OTHERS_WRITE) && !(status.st_mode & S_ISVTX))
        return refuse_mode(folder, &status, "write", name, "go-w");
    return true;
}

/* Moves the next name from `pending` to the end of `here`; *done when there was none. */
static bool step(struct walk *walk, bool *done)
{
    char rest[PATH_MAX];
    char *name = walk->pending + strspn(walk->pending, "/");
    size_t length = strcspn(name, "/"), used = strlen(walk->here);

    snprintf(rest, sizeof rest, "%s", name + length);
    *done = length == 0;
    if (*done)
        return true;
    if (!check_folder(used == 0 ? "/" : walk->here, rest[strspn(rest, "/")] == '\0'))
        return false;
    if (length == 2 && name[0] == '.' && name[1] == '.') {
        char *slash = strrchr(walk->here, '/');
        if (slash != NULL)
            *slash = '\0';
    } else if (!(length == 1 && name[0] == '.')) {
        if (used + length + 2 > sizeof walk->here) {
            errno = ENAMETOOLONG;
            return unreadable(walk->here, "a directory");
        }
        walk->here[used] = '/';
        memcpy(walk->here + used + 1, name, length);
        walk->here[used + 1 + length] = '\0';
    }
    memcpy(walk->pending, rest, sizeof rest);
    return true;
}

/* Puts what a link names in the place of the link, which is the end of `here`. */
static bool follow(struct walk *walk)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t length = readlink(walk->here, target, sizeof target - 1);

    if (length < 0)
        return unreadable(walk->here, "the link");
    target[length] = '\0';
    if (snprintf(joined, sizeof joined, "%s/%s", target, walk->pending) >= (int)sizeof joined) {
        errno = ENAMETOOLONG;
        return unreadable(walk->here, "the link");
    }
    memcpy(walk->pending, joined, sizeof joined);
    *strrchr(walk->here, '/') = '\0';
    if (*target == '/')
        *walk->here = '\0';
    return true;
}

/* Every directory that is passed, by way of links too, is nobody else's to write. */
static bool check_folders(const char *path, const char *what)
{
    struct walk walk = {.here = ""};
    struct stat status;
    bool done = false;
    int links = 0;

    if (*path == '/')
        *walk.pending = '\0';
    else if (getcwd(walk.pending, sizeof walk.pending) == NULL)
        return unreadable(path, what);
    size_t used = strlen(walk.pending);
    if (used + strlen(path) + 2 > sizeof walk.pending) {
        errno = ENAMETOOLONG;
        return unreadable(path, what);
    }
    walk.pending[used] = '/';
    strcpy(walk.pending + used + 1, path);
    for (;;) {
        if (!step(&walk, &done))
            return false;
        if (done)
            return true;
        if (lstat(*walk.here == '\0' ? "/" : walk.here, &status) != 0)
            return unreadable(walk.here, what);
        if (!S_ISLNK(status.st_mode))
            continue;
        if (!ours(&status, true))
            return refuse_owner(walk.here, &status, "the link to the file");
        if (++links > LINKS_MAX) {
            errno = ELOOP;
            return unreadable(path, what);
        }
        if (!follow(&walk))
            return false;
    }
}

int hem_secret_file_open(const char *path, const char *what)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        unreadable(path, what);
        return -1;
    }
    if (!check_type(path, status.st_mode, what)) /* before opening: to open a device may do something */
        return -1;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0) {
        unreadable(path, what);
        return -1;
    }
    if (fstat(file, &status) == 0 && check_file(path, &status, what) && check_folders(path, what))
        return file;
    close(file);
    return -1;
}
