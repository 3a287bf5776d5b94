/* The whole module: libhem_pkcs11.so with its Python, and a device emulated in the process.
 *
 * HEM_URL names the device's state, HEM_FUZZ_PIN its passphrase, HEM_FUZZ_STATE the file that is put back now and
 * then in place of the state, so that the device does not fill up (campaign/fuzzing/module.py prepares them).
 * Every input begins in the same way: three sessions, the user logged in, an AES key, a generic secret, and handles
 * of the device's keys. Held against each call: no return value outside the standard's and no CKR_GENERAL_ERROR, no
 * byte beyond a buffer, no success of an operation that was never begun. libFuzzer itself has the time limit.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

enum { THREADS = 3, INPUTS_PER_DEVICE = 2000 };

#define CKR_CRYPTOKI_ALREADY_INITIALIZED 0x191UL
#define CKR_USER_ALREADY_LOGGED_IN 0x100UL

/* What a session must have begun for a function to succeed. */
static const char *const families[] = {
    "MessageEncrypt", "MessageDecrypt", "MessageSign", "MessageVerify", "VerifySignature",
    "Encrypt", "Decrypt", "Digest", "Sign", "Verify", "FindObjects",
};
enum { FAMILIES = sizeof families / sizeof *families };

struct begun {
    CK_ULONG session;
    bool of[FAMILIES];
};

struct thread {
    struct run run;
    struct begun begun[64];
    size_t begun_count;
    bool alone;
    pthread_t id;
};

static struct thread threads[THREADS];
static CK_ULONG shared_sessions[SESSIONS], shared_objects[OBJECTS];

static struct begun *begun_in(struct thread *thread, CK_ULONG session)
{
    for (size_t i = 0; i < thread->begun_count; i++)
        if (thread->begun[i].session == session)
            return &thread->begun[i];
    if (thread->begun_count == sizeof thread->begun / sizeof *thread->begun)
        return NULL;
    struct begun *made = &thread->begun[thread->begun_count++];
    *made = (struct begun){.session = session};
    return made;
}

/* The family of a function that goes on with an operation or ends it; -1 for others. Messages: C_EncryptMessage. */
static int family_of(const char *name, bool *begins)
{
    char text[64];

    name += 2;
    *begins = false;
    for (int i = 0; i < FAMILIES; i++) {
        size_t length = strlen(families[i]);
        if (strncmp(name, families[i], length) == 0) {
            const char *rest = name + length;
            *begins = strcmp(rest, "Init") == 0;
            bool known = *begins || *rest == '\0' || strcmp(rest, "Update") == 0 || strcmp(rest, "Final") == 0;
            if (known)
                return i;
        }
        if (strncmp(families[i], "Message", 7) == 0) {
            snprintf(text, sizeof text, "%sMessage", families[i] + 7);
            if (strncmp(name, text, strlen(text)) == 0)
                return i;
        }
    }
    return -1;
}

static void check_order(struct thread *thread, const struct function *function, CK_RV rv)
{
    bool begins;
    int family = family_of(function->name, &begins);

    if (rv != CKR_OK || !thread->alone)
        return;
    struct begun *begun = begun_in(thread, thread->run.words[0]);
    if (strcmp(function->name, "C_SetOperationState") == 0 && begun != NULL)
        memset(begun->of, true, sizeof begun->of);
    if (family < 0 || begun == NULL)
        return;
    if (begins)
        begun->of[family] = true;
    else if (!begun->of[family])
        wrong("%s succeeds, and nothing was begun in session %lu", function->name, begun->session);
}

/* What would end the test itself, or change the passphrase. */
static bool is_left_out(const char *name)
{
    return strcmp(name, "C_SetPIN") == 0 || strcmp(name, "C_InitPIN") == 0 || strcmp(name, "C_InitToken") == 0;
}

static void sequence(struct thread *thread)
{
    struct run *run = &thread->run;

    for (int i = 0; i < MOST_CALLS && run->bytes.at < run->bytes.end; i++) {
        const struct function *function = &functions[take_byte(&run->bytes) % function_count];
        if (is_left_out(function->name))
            continue;
        make_words(run, function);
        if (strcmp(function->name, "C_WaitForSlotEvent") == 0)
            run->words[0] |= 1; /* CKF_DONT_BLOCK */
        if (!thread->alone && (strcmp(function->name, "C_Finalize") == 0))
            continue;
        CK_RV rv = call_function(function, run->words);
        if (!is_standard(rv))
            wrong("%s answers 0x%lx, which the standard does not have", function->name, rv);
        if (rv == CKR_GENERAL_ERROR)
            wrong("%s answers CKR_GENERAL_ERROR, which only a mistake of ours gives", function->name);
        check_order(thread, function, rv);
        check_guards(run, function->name);
        keep_result(run, function, rv);
    }
}

static void *in_thread(void *argument)
{
    sequence(argument);
    return NULL;
}

#ifdef WITH_ASAN
/* The emulator's cryptography asks for RTLD_DEEPBIND, with which AddressSanitizer ends the process. */
void *__interceptor_dlopen(const char *path, int flags);
__attribute__((visibility("default"))) void *dlopen(const char *path, int flags)
{
    return __interceptor_dlopen(path, flags & ~RTLD_DEEPBIND);
}
#endif

/* --- the beginning of each input ----------------------------------------------------------- */

static void must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED && rv != CKR_USER_ALREADY_LOGGED_IN)
        wrong("preparing: %s answers 0x%lx", what, rv);
}

static void new_device(void)
{
    const char *template = getenv("HEM_FUZZ_STATE"), *url = getenv("HEM_URL");
    static char content[1 << 20];

    C_Finalize(NULL);
    if (template == NULL || url == NULL || strncmp(url, "emulator:", 9) != 0)
        wrong("HEM_FUZZ_STATE and HEM_URL must name files");
    FILE *from = fopen(template, "rb");
    FILE *to = fopen(url + 9, "wb");
    if (from == NULL || to == NULL)
        wrong("the device's state cannot be put back");
    size_t size = fread(content, 1, sizeof content, from);
    if (fwrite(content, 1, size, to) != size)
        wrong("the device's state cannot be written");
    fclose(from);
    fclose(to);
}

static CK_OBJECT_HANDLE secret_key(CK_SESSION_HANDLE session, CK_ULONG type)
{
    CK_ULONG class = 4;
    CK_BYTE value[32] = {1};
    CK_ATTRIBUTE template[] = {{0, &class, sizeof class}, {0x100, &type, sizeof type}, {0x11, value, sizeof value}};
    CK_OBJECT_HANDLE made = 0;

    must(C_CreateObject(session, template, 3, &made), "C_CreateObject");
    return made;
}

static void begin(void)
{
    CK_ULONG found = 0, flags[] = {6, 6, 4};
    char *pin = getenv("HEM_FUZZ_PIN");

    must(C_Initialize(NULL), "C_Initialize");
    must(C_CloseAllSessions(0), "C_CloseAllSessions");
    for (size_t i = 0; i < 3; i++)
        must(C_OpenSession(0, flags[i], NULL, NULL, &shared_sessions[i]), "C_OpenSession");
    must(C_Login(shared_sessions[0], 1, (CK_BYTE *)pin, strlen(pin)), "C_Login");
    memset(shared_objects, 0, sizeof shared_objects);
    shared_objects[0] = secret_key(shared_sessions[0], 0x1f);
    shared_objects[1] = secret_key(shared_sessions[0], 0x10);
    must(C_FindObjectsInit(shared_sessions[0], NULL, 0), "C_FindObjectsInit");
    must(C_FindObjects(shared_sessions[0], shared_objects + 2, 8, &found), "C_FindObjects");
    must(C_FindObjectsFinal(shared_sessions[0]), "C_FindObjectsFinal");
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (getenv("HEM_FUZZ_PIN") == NULL)
        wrong("HEM_FUZZ_PIN is missing");
    CK_RV rv = C_GetInfo(NULL);
    if (rv != CKR_CRYPTOKI_NOT_INITIALIZED)
        wrong("before C_Initialize, C_GetInfo answers 0x%lx", rv);
    begin();
    return 0;
}

static void start(struct thread *thread, const uint8_t *data, size_t size, bool alone)
{
    thread->run.pin = getenv("HEM_FUZZ_PIN");
    run_begin(&thread->run, data, size);
    memcpy(thread->run.sessions, shared_sessions, sizeof shared_sessions);
    memcpy(thread->run.objects, shared_objects, sizeof shared_objects);
    thread->begun_count = 0;
    thread->alone = alone;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;

    if (size < 2)
        return 0;
    if (++inputs % INPUTS_PER_DEVICE == 0)
        new_device();
    begin();
    if (data[0] < 240) {
        start(&threads[0], data + 1, size - 1, true);
        sequence(&threads[0]);
        run_end(&threads[0].run);
        return 0;
    }
    size_t share = (size - 1) / THREADS;
    for (size_t i = 0; i < THREADS; i++) {
        start(&threads[i], data + 1 + i * share, share, false);
        if (pthread_create(&threads[i].id, NULL, in_thread, &threads[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        run_end(&threads[i].run);
    }
    return 0;
}
