/* A program that uses the engine as programs do: host ENGINE-FILE COMMAND…, with commands
 *
 *   load NAME         private key; prints type and bits
 *   public NAME       public key
 *   certificate NAME  by LOAD_CERT_CTRL; prints the subject
 *   control NAME VALUE     "-" for none
 *   ask ANSWER        answers the engine's questions
 *   sign DIGEST SIZE  the loaded key over SIZE bytes, in pieces, then verifies with it
 *   digest            EVP_PKEY_sign() with a ready-made digest
 *   short             room for too short a signature
 *   derive            with a fresh key of the same kind, both ways
 *   foreign           a software key of the same type signs by itself, and not by naming the engine
 *   fork COUNT        children that sign, each in two threads
 *   forkbusy COUNT    the same, while another thread of the parent signs
 *   threads COUNT     threads that sign
 *   again             the engine is finished and initialised; keys are dropped
 *   repeat COUNT NAME loads, signs and frees
 *   other FILE        loads the engine a second time
 *   default           ENGINE_set_default(), as nginx does
 *
 * Each prints "ok", or "failed: " and the error queue. The program ends with 1 if one failed, with 2 if
 * it was not asked properly; by a signal only if something is wrong.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"

static ENGINE *engine;
static EVP_PKEY *key;
static const char *answer;
static bool by_default; /* no functional reference of our own */

/* --- signing ------------------------------------------------------------------------------ */

static bool sign_and_verify(EVP_PKEY *pkey, const EVP_MD *digest, size_t size, ENGINE *named)
{
    unsigned char *message = malloc(size + 1), signature[256];
    size_t length = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool one_shot = EVP_PKEY_id(pkey) == EVP_PKEY_ED25519 || EVP_PKEY_id(pkey) == EVP_PKEY_ED448;
    bool good = EVP_DigestSignInit(ctx, NULL, one_shot ? NULL : digest, named, pkey) > 0;

    memset(message, 'm', size);
    if (good && one_shot) {
        good = EVP_DigestSign(ctx, NULL, &length, message, size) > 0 && length <= sizeof signature &&
               EVP_DigestSign(ctx, signature, &length, message, size) > 0;
    } else if (good) {
        for (size_t done = 0; good && done < size; done += 100)
            good = EVP_DigestSignUpdate(ctx, message + done, size - done < 100 ? size - done : 100);
        good = good && EVP_DigestSignFinal(ctx, NULL, &length) > 0;
        length = sizeof signature;
        /* Final works on a duplicate: it may be asked twice. */
        good = good && EVP_DigestSignFinal(ctx, signature, &length) > 0;
        length = sizeof signature;
        good = good && EVP_DigestSignFinal(ctx, signature, &length) > 0;
    }
    EVP_MD_CTX_free(ctx);
    ctx = EVP_MD_CTX_new();
    if (good && EVP_DigestVerifyInit(ctx, NULL, one_shot ? NULL : digest, NULL, pkey) > 0) {
        good = EVP_DigestVerify(ctx, signature, length, message, size) == 1;
        signature[length - 1] ^= 1;
        EVP_MD_CTX_free(ctx);
        ctx = EVP_MD_CTX_new();
        EVP_DigestVerifyInit(ctx, NULL, one_shot ? NULL : digest, NULL, pkey);
        bool refused = EVP_DigestVerify(ctx, signature, length, message, size) != 1;
        if (good)
            ERR_clear_error(); /* what the refusal left */
        good = good && refused;
    } else {
        good = false;
    }
    EVP_MD_CTX_free(ctx);
    free(message);
    return good;
}

static bool sign_digest(void)
{
    unsigned char digest[32] = {1}, signature[256];
    size_t length = sizeof signature;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool good = EVP_PKEY_sign_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
                EVP_PKEY_sign(ctx, signature, &length, digest, sizeof digest) > 0;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool sign_short(void)
{
    unsigned char signature[8];
    size_t length = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool one_shot = EVP_PKEY_id(key) == EVP_PKEY_ED25519;
    bool good = EVP_DigestSignInit(ctx, NULL, one_shot ? NULL : EVP_sha256(), NULL, key) > 0 &&
                EVP_DigestSign(ctx, signature, &length, (const unsigned char *)"x", 1) > 0;

    EVP_MD_CTX_free(ctx);
    return good;
}

/* --- key agreement ------------------------------------------------------------------------ */

static EVP_PKEY *fresh_key(EVP_PKEY *like)
{
    EVP_PKEY *made = NULL;
    EVP_PKEY *software = NULL;
    unsigned char *info = NULL;
    int length = i2d_PUBKEY(like, &info);
    const unsigned char *next = info;

    software = d2i_PUBKEY(NULL, &next, length);
    OPENSSL_free(info);
    EVP_PKEY_CTX *ctx = EVP_PKEY_id(like) == EVP_PKEY_EC
                            ? EVP_PKEY_CTX_new(software, NULL)
                            : EVP_PKEY_CTX_new_id(EVP_PKEY_id(like), NULL);
    if (EVP_PKEY_keygen_init(ctx) > 0)
        EVP_PKEY_keygen(ctx, &made);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(software);
    return made;
}

static bool derive_one(EVP_PKEY *own, EVP_PKEY *peer, unsigned char *secret, size_t *length)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t asked = 0;
    bool good = EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
                EVP_PKEY_derive(ctx, NULL, &asked) > 0 && asked <= *length;

    good = good && EVP_PKEY_derive(ctx, secret, length) > 0 && *length == asked;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool derive(void)
{
    unsigned char ours[66], theirs[66];
    size_t our_length = sizeof ours, their_length = sizeof theirs;
    EVP_PKEY *peer = fresh_key(key);
    bool good = peer != NULL && derive_one(key, peer, ours, &our_length) &&
                derive_one(peer, key, theirs, &their_length) && our_length == their_length &&
                memcmp(ours, theirs, our_length) == 0;

    EVP_PKEY_free(peer);
    return good;
}

/* --- keys that are not ours --------------------------------------------------------------- */

static bool foreign(void)
{
    EVP_PKEY *software = fresh_key(key);
    bool good = software != NULL && sign_and_verify(software, EVP_sha1(), 5000, NULL);

    if (good)
        ERR_clear_error();
    if (good && sign_and_verify(software, EVP_sha256(), 50, engine)) {
        printf("the engine signed with a key that it does not have\n");
        good = false;
    } else if (good) {
        ERR_print_errors_fp(stdout);
    }
    EVP_PKEY_free(software);
    return good;
}

/* --- processes and threads ---------------------------------------------------------------- */

static void *sign_in_thread(void *count)
{
    bool good = true;

    for (long i = 0; good && i < (long)count; i++)
        good = sign_and_verify(key, EVP_sha256(), 50, NULL);
    return good ? NULL : count;
}

static bool threads(long count, long each)
{
    pthread_t ids[64];
    bool good = true;

    for (long i = 0; i < count; i++)
        pthread_create(&ids[i], NULL, sign_in_thread, (void *)each);
    for (long i = 0; i < count; i++) {
        void *result;
        pthread_join(ids[i], &result);
        good = good && result == NULL;
    }
    return good;
}

static bool fork_children(long count, bool busy)
{
    bool good = true;
    pthread_t id;

    if (busy)
        pthread_create(&id, NULL, sign_in_thread, (void *)3);
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            good = sign_and_verify(key, EVP_sha256(), 50, NULL) && threads(2, 1);
            if (!good)
                ERR_print_errors_fp(stdout);
            fflush(stdout);
            _exit(good ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        good = good && status == 0;
    }
    if (busy)
        pthread_join(id, NULL);
    return good && sign_and_verify(key, EVP_sha256(), 50, NULL);
}

/* --- the engine --------------------------------------------------------------------------- */

static int read_answer(UI *ui, UI_STRING *question)
{
    if (UI_get_string_type(question) == UIT_PROMPT || UI_get_string_type(question) == UIT_VERIFY) {
        printf("asked: %s\n", UI_get0_output_string(question));
        return UI_set_result(ui, question, answer) >= 0;
    }
    return 1;
}

static UI_METHOD *answering(void)
{
    static UI_METHOD *method;

    if (method == NULL) {
        method = UI_create_method("test");
        UI_method_set_reader(method, read_answer);
    }
    return answer == NULL ? NULL : method;
}

static bool certificate(const char *name)
{
    struct {
        const char *name;
        X509 *certificate;
    } request = {name, NULL};

    if (!ENGINE_ctrl_cmd(engine, "LOAD_CERT_CTRL", 0, &request, NULL, 1) ||
        request.certificate == NULL)
        return false;
    X509_NAME_print_ex_fp(stdout, X509_get_subject_name(request.certificate), 0, XN_FLAG_ONELINE);
    printf("\n");
    X509_free(request.certificate);
    return true;
}

static bool load(const char *name, bool public)
{
    EVP_PKEY_free(key);
    key = public ? ENGINE_load_public_key(engine, name, answering(), NULL)
                 : ENGINE_load_private_key(engine, name, answering(), NULL);
    if (key != NULL)
        printf("%s %d\n", OBJ_nid2sn(EVP_PKEY_id(key)), EVP_PKEY_bits(key));
    return key != NULL;
}

static bool repeat(long count, const char *name)
{
    bool good = true;

    EVP_PKEY_free(key);
    key = NULL;
    for (long i = 0; good && i < count; i++) {
        EVP_PKEY *each = ENGINE_load_private_key(engine, name, answering(), NULL);
        good = each != NULL && sign_and_verify(each, EVP_sha256(), 50, NULL);
        EVP_PKEY_free(each);
    }
    return good;
}

static bool start(void)
{
    return ENGINE_init(engine) > 0;
}

static bool restart(void)
{
    EVP_PKEY_free(key);
    key = NULL;
    if (!by_default)
        ENGINE_finish(engine);
    by_default = false;
    return start();
}

static bool open_engine(const char *file)
{
    ENGINE_load_dynamic();
    engine = ENGINE_by_id("dynamic");
    return engine != NULL && ENGINE_ctrl_cmd_string(engine, "SO_PATH", file, 0) &&
           (getenv("ENGINE_ID") == NULL ||
            ENGINE_ctrl_cmd_string(engine, "ID", getenv("ENGINE_ID"), 0)) &&
           ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0);
}

/* Loads the engine a second time, beside the one in use. */
static bool other(const char *file)
{
    ENGINE *ours = engine;
    bool good = open_engine(file);

    ENGINE_free(engine);
    engine = ours;
    return good;
}

/* These use the key that a command before has loaded. */
static bool needs_key(const char *command)
{
    static const char *const users[] = {"sign",   "digest",   "short",   "derive",
                                        "foreign", "fork", "forkbusy", "threads"};

    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (strcmp(command, users[i]) == 0)
            return true;
    return false;
}

/* How many words a command takes, its own included. */
static int words_of(const char *command)
{
    static const struct {
        const char *names;
        int words;
    } table[] = {
        {" control sign repeat ", 3},
        {" ask load public certificate fork forkbusy threads other ", 2},
        {" default digest short derive foreign again ", 1},
    };
    char wanted[32];

    snprintf(wanted, sizeof wanted, " %s ", command);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(table[i].names, wanted) != NULL)
            return table[i].words;
    fprintf(stderr, "no such command: %s\n", command);
    exit(2);
}

/* Runs the command at words[0], sets how many words it took. */
static bool run(char **words, int left, int *taken, bool *started)
{
    const char *command = words[0];

    *taken = words_of(command);
    if (*taken > left) {
        fprintf(stderr, "%s: %d words are wanted\n", command, *taken);
        exit(2);
    }
    if (strcmp(command, "control") == 0)
        return ENGINE_ctrl_cmd_string(engine, words[1], strcmp(words[2], "-") != 0 ? words[2] : NULL, 0) > 0;
    if (strcmp(command, "ask") == 0) {
        answer = words[1];
        return true;
    }
    if (strcmp(command, "default") == 0) {
        by_default = *started = true;
        return ENGINE_set_default(engine, ENGINE_METHOD_ALL) > 0;
    }
    if (!*started && !(*started = start()))
        return false;
    if (needs_key(command) && key == NULL) {
        printf("there is no key for it\n");
        return false;
    }
    if (strcmp(command, "load") == 0)
        return load(words[1], false);
    if (strcmp(command, "public") == 0)
        return load(words[1], true);
    if (strcmp(command, "certificate") == 0)
        return certificate(words[1]);
    if (strcmp(command, "fork") == 0)
        return fork_children(atol(words[1]), false);
    if (strcmp(command, "forkbusy") == 0)
        return fork_children(atol(words[1]), true);
    if (strcmp(command, "threads") == 0)
        return threads(atol(words[1]), 3);
    if (strcmp(command, "other") == 0)
        return other(words[1]);
    if (strcmp(command, "sign") == 0)
        return sign_and_verify(key, EVP_get_digestbyname(words[1]), (size_t)atol(words[2]), NULL);
    if (strcmp(command, "repeat") == 0)
        return repeat(atol(words[1]), words[2]);
    if (strcmp(command, "digest") == 0)
        return sign_digest();
    if (strcmp(command, "short") == 0)
        return sign_short();
    if (strcmp(command, "derive") == 0)
        return derive();
    if (strcmp(command, "foreign") == 0)
        return foreign();
    return restart(); /* again */
}

int main(int count, char **words)
{
    int taken, failed = 0;
    bool started = false;

    if (!open_engine(words[1])) {
        ERR_print_errors_fp(stdout);
        return 1;
    }
    for (int i = 2; i < count; i += taken) {
        bool good = run(words + i, count - i, &taken, &started);
        printf(good ? "ok\n" : "failed: %s\n", words[i]);
        if (ERR_peek_error() != 0 && good)
            printf("but left errors in the queue\n");
        ERR_print_errors_fp(stdout);
        fflush(stdout);
        failed |= !good;
    }
    EVP_PKEY_free(key);
    if (started && !by_default)
        ENGINE_finish(engine);
    ENGINE_free(engine);
    return failed;
}
