/* A program that lives long with the module: it does what each line of standard input says, and answers with
 * the return value. What it knows of secrets it reads from files, uses once and overwrites. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long Value;
typedef struct { Value type; void *value; Value length; } Attribute;
typedef struct { Value kind; void *parameter; Value length; } Mechanism;
typedef Value (*Function)();

static void *module;
static Value session, key;

static Function named(const char *name) { return (Function)dlsym(module, name); }

static Value taken(const char *path, unsigned char *buffer, Value room) {
    int file = open(path, O_RDONLY);
    ssize_t size = file < 0 ? 0 : read(file, buffer, room);
    close(file);
    while (size > 0 && buffer[size - 1] == '\n') size--;
    return (Value)size;
}

static Value login(const char *path) {
    unsigned char pin[256];
    Value size = taken(path, pin, sizeof pin);
    Value answer = named("C_Login")(session, 1UL, pin, size);
    explicit_bzero(pin, sizeof pin);
    return answer;
}

static Value sign(void) {
    Value class = 3, found = 0, count = 0, size = 200;
    unsigned char yes = 1, message[] = "message", signature[200];
    Attribute wanted[] = {{0x0, &class, sizeof class}, {0x108, &yes, 1}};
    Mechanism ecdsa = {0x1044, NULL, 0};
    named("C_FindObjectsInit")(session, wanted, 2UL);
    named("C_FindObjects")(session, &found, 1UL, &count);
    named("C_FindObjectsFinal")(session);
    Value answer = named("C_SignInit")(session, &ecdsa, found);
    return answer ? answer : named("C_Sign")(session, message, (Value)7, signature, &size);
}

static Value make(const char *path) {
    unsigned char value[32], yes = 1, no = 0;
    Value class = 4, kind = 0x1f;
    taken(path, value, sizeof value);
    Attribute told[] = {
        {0x0, &class, sizeof class}, {0x100, &kind, sizeof kind}, {0x1, &no, 1},
        {0x104, &yes, 1}, {0x105, &yes, 1}, {0x11, value, sizeof value},
    };
    Value answer = named("C_CreateObject")(session, told, 6UL, &key);
    explicit_bzero(value, sizeof value);
    return answer;
}

static Value seal(const char *path) {
    unsigned char data[64], out[128];
    Value size = taken(path, data, sizeof data) & ~15UL, length = sizeof out;
    Mechanism ecb = {0x1081, NULL, 0};
    Value answer = named("C_EncryptInit")(session, &ecb, key);
    if (!answer) answer = named("C_Encrypt")(session, data, size, out, &length);
    if (!answer) answer = named("C_DecryptInit")(session, &ecb, key);
    if (!answer) answer = named("C_Decrypt")(session, out, length, data, &size);
    explicit_bzero(data, sizeof data);
    return answer;
}

int main(int count, char **words) {
    char line[512];
    module = dlopen(words[count - 1], RTLD_NOW);
    if (!module) return puts(dlerror()), 1;
    setvbuf(stdin, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        if (rest) *rest++ = 0;
        Value answer = 0;
        if (!strcmp(line, "open")) {
            answer = named("C_Initialize")(NULL);
            if (!answer) answer = named("C_OpenSession")(0UL, 6UL, NULL, NULL, &session);
        }
        else if (!strcmp(line, "login")) answer = login(rest);
        else if (!strcmp(line, "sign")) answer = sign();
        else if (!strcmp(line, "make")) answer = make(rest);
        else if (!strcmp(line, "seal")) answer = seal(rest);
        else if (!strcmp(line, "destroy")) answer = named("C_DestroyObject")(session, key);
        else if (!strcmp(line, "logout")) answer = named("C_Logout")(session);
        else if (!strcmp(line, "finalize")) answer = named("C_Finalize")(NULL);
        else if (!strcmp(line, "abort")) abort();
        printf("%#lx\n", answer);
        fflush(stdout);
    }
    return 0;
}
