/* Messages of the C layer, for what happens before Python runs or keeps it from running. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime.h"

static const char PREFIX[] = "hem-pkcs11: ";

/* A terminal, a pipe or a local socket. Any other file that has number 2 may be the host's own, a
 * network connection too, and a line of ours would damage it. */
static bool for_people(int descriptor)
{
    struct stat status;
    int family;
    socklen_t size = sizeof family;

    if (fstat(descriptor, &status) != 0)
        return false;
    if (S_ISSOCK(status.st_mode))
        return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
    return S_ISFIFO(status.st_mode) || isatty(descriptor);
}

/* HEM_PKCS11_LOG is stderr, off or FILE, each with an optional :level (see hem_pkcs11/log.py).
 * All levels show what this layer has to say. Returns a descriptor, -1 for none. */
static int open_log(bool *close_after)
{
    const char *setting = secure_getenv("HEM_PKCS11_LOG");
    char path[4096];

    *close_after = false;
    if (setting != NULL && strncmp(setting, "stderr", 6) == 0)
        return STDERR_FILENO;
    if (setting == NULL || *setting == '\0')
        return for_people(STDERR_FILENO) ? STDERR_FILENO : -1;
    if (strcmp(setting, "off") == 0)
        return -1;
    if (snprintf(path, sizeof path, "%s", setting) >= (int)sizeof path)
        return STDERR_FILENO;
    char *level = strrchr(path, ':');
    if (level != NULL)
        *level = '\0';
    /* A FIFO that nobody reads, or that is full, makes no host wait. */
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (descriptor < 0)
        return STDERR_FILENO;
    *close_after = true;
    return descriptor;
}

void hem_say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    bool close_after;
    int descriptor = open_log(&close_after);

    if (descriptor < 0)
        return;
    memcpy(line, PREFIX, sizeof PREFIX);
    size_t used = sizeof PREFIX - 1;
    va_start(arguments, format);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (wanted > 0) {
        used = strlen(line);
        line[used++] = '\n';
        ssize_t written = write(descriptor, line, used);
        (void)written; /* there is nowhere else to say it */
    }
    if (close_after)
        close(descriptor);
}
