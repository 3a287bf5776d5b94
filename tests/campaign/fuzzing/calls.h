/* From a fuzzer's bytes to calls of PKCS #11: shared by the harnesses of the entry layer alone and of the whole
 * module, so that an input means the same to both.
 *
 * A run is a sequence of calls. All memory that a call is given lies in one arena: each buffer has exactly the
 * size that it is said to have, with a guard behind it that AddressSanitizer forbids to touch and that is
 * looked at after each call.
 */
#ifndef HEM_FUZZ_CALLS_H
#define HEM_FUZZ_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "functions.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#endif

enum { MOST_WORDS = 10, MOST_CALLS = 40, MOST_BUFFERS = 512, ARENA = 256 * 1024, SESSIONS = 6, OBJECTS = 16 };

/* What is left of the input; at its end everything reads as 0. */
struct bytes {
    const uint8_t *at, *end;
};

uint8_t take_byte(struct bytes *bytes);
uint64_t take_word(struct bytes *bytes);

#define HEM_DECLARE(name, parameters, ...) CK_RV name parameters;
HEM_FUNCTIONS_2_40(HEM_DECLARE, HEM_DECLARE)
HEM_FUNCTIONS_3_0(HEM_DECLARE, HEM_DECLARE)
HEM_FUNCTIONS_3_2(HEM_DECLARE, HEM_DECLARE)

/* One function: `kinds` has a letter for each of its arguments (tables.h, made from hem_pkcs11.calls); "?" is
 * one that Python does not serve. */
struct function {
    const char *name, *kinds;
    void (*address)(void);
};

/* All functions that go to Python, in the order of the lists. */
extern struct function functions[];
extern const size_t function_count;

struct buffer {
    uint8_t *at;
    size_t size;
};

struct run {
    struct bytes bytes;
    uint8_t *arena;
    size_t used;
    struct buffer buffers[MOST_BUFFERS];
    size_t buffer_count;
    CK_ULONG sessions[SESSIONS], objects[OBJECTS]; /* newest first; ended ones stay, to be tried again */
    const char *pin;
    uintptr_t words[MOST_WORDS];
    bool missing; /* a pointer of the last call's words is NULL */
};

void run_begin(struct run *run, const uint8_t *data, size_t size);
/* Makes the memory free for the next run. */
void run_end(struct run *run);

/* The words of a call of `function`, as the next bytes say. */
void make_words(struct run *run, const struct function *function);

CK_RV call_function(const struct function *function, const uintptr_t *words);

/* After a call that was successful: keeps what it made. */
void keep_result(struct run *run, const struct function *function, CK_RV rv);

/* Ends the process with a message when a guard was written to. */
void check_guards(const struct run *run, const char *after);

/* Whether the standard has such a return value. */
bool is_standard(CK_RV rv);

/* How many words an argument of this kind takes. */
size_t words_of(char kind);

/* Reads through every pointer that Python would read through, and touches what it would write: the promise of
 * a guard that has let the call pass. `fill`: what is written where Python writes results. */
void touch_words(const char *kinds, const uintptr_t *words, uint8_t fill, bool write);

/* Tells what is wrong and ends the process as a crash. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A mechanism's structure: 'e' EdDSA, 'd' ECDH1, 'c' CTR, 'g' GCM, 'm' ML-DSA's context; 0: none. */
char structure_of(CK_ULONG mechanism);

#endif
