/* See calls.h. */
#include "calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables.h"

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

static const CK_ULONG notable[] = {
    0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128, 255, 256, 1024, 1025, 2047, 2048, 2049, 4096, 4097,
    65536, 65537, 1UL << 20, (1UL << 20) + 1, 1UL << 31, 1UL << 32, (1UL << 47), (1UL << 47) + 1,
    (1UL << 63) - 1, 1UL << 63, ~0UL - 1, ~0UL,
};
/* Lengths that no memory has: refused without reading. */
static const CK_ULONG huge[] = {(1UL << 47) + 1, (1UL << 63) - 1, 1UL << 63, ~0UL};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void wrong(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("WRONG: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

/* --- the input ----------------------------------------------------------------------------- */

uint8_t take_byte(struct bytes *bytes)
{
    return bytes->at < bytes->end ? *bytes->at++ : 0;
}

uint64_t take_word(struct bytes *bytes)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word |= (uint64_t)take_byte(bytes) << (8 * i);
    return word;
}

static uint8_t next(struct run *run)
{
    return take_byte(&run->bytes);
}

static CK_ULONG number(struct run *run)
{
    uint8_t pick = next(run);

    if (pick < 160)
        return notable[pick % COUNT(notable)];
    if (pick < 240)
        return next(run);
    return (CK_ULONG)take_word(&run->bytes);
}

/* --- memory -------------------------------------------------------------------------------- */

void run_begin(struct run *run, const uint8_t *data, size_t size)
{
    uint8_t *arena = run->arena;
    const char *pin = run->pin;

    memset(run, 0, sizeof *run);
    run->arena = arena;
    run->pin = pin;
    if (run->arena == NULL && (run->arena = aligned_alloc(16, ARENA)) == NULL)
        abort();
    run->bytes = (struct bytes){data, data + size};
}

void run_end(struct run *run)
{
    ASAN_UNPOISON_MEMORY_REGION(run->arena, run->used);
    run->used = 0;
    run->buffer_count = 0;
}

/* NULL when this run has had its share. */
static uint8_t *take(struct run *run, size_t size)
{
    size_t whole = (size + GUARD + 15) & ~(size_t)15;

    if (whole > ARENA - run->used || run->buffer_count == MOST_BUFFERS)
        return NULL;
    uint8_t *at = run->arena + run->used;
    run->used += whole;
    run->buffers[run->buffer_count++] = (struct buffer){at, size};
    memset(at, 0, size);
    memset(at + size, GUARD_BYTE, whole - size);
    ASAN_POISON_MEMORY_REGION(at + size, whole - size);
    return at;
}

void check_guards(const struct run *run, const char *after)
{
    for (size_t i = 0; i < run->buffer_count; i++) {
        const struct buffer *buffer = &run->buffers[i];
        size_t whole = (buffer->size + GUARD + 15) & ~(size_t)15;
        uint8_t *guard = buffer->at + buffer->size;
        ASAN_UNPOISON_MEMORY_REGION(guard, whole - buffer->size);
        for (size_t j = 0; j < whole - buffer->size; j++)
            if (guard[j] != GUARD_BYTE)
                wrong("%s wrote %zu bytes beyond a buffer of %zu", after, j + 1, buffer->size);
        ASAN_POISON_MEMORY_REGION(guard, whole - buffer->size);
    }
}

/* A buffer of this size, or one that an earlier argument has: they may overlap. */
static struct buffer some_buffer(struct run *run, size_t size)
{
    uint8_t pick = next(run);

    if (pick >= 232 && run->buffer_count > 0) {
        struct buffer old = run->buffers[next(run) % run->buffer_count];
        size_t skip = old.size == 0 ? 0 : next(run) % old.size;
        return (struct buffer){old.at + skip, old.size - skip};
    }
    uint8_t *at = take(run, size);
    if (at == NULL)
        return (struct buffer){NULL, 0};
    for (size_t i = 0; i < size && i < 64; i++) /* the rest is zero: inputs stay short */
        at[i] = pick & 1 ? (uint8_t)(pick + i) : next(run);
    return (struct buffer){at, size};
}

static size_t some_size(struct run *run)
{
    static const uint16_t sizes[] = {0, 1, 8, 12, 16, 20, 32, 33, 48, 64, 65, 97, 133, 255, 2048, 2049};
    uint8_t pick = next(run);

    return pick < 128 ? pick : sizes[pick % COUNT(sizes)];
}

static uint8_t *fresh(struct run *run, const void *content, size_t size)
{
    uint8_t *at = take(run, size);

    if (at != NULL && size > 0)
        memcpy(at, content, size);
    return at;
}

static struct buffer buffer_of(struct run *run, const void *content, size_t size)
{
    uint8_t *at = fresh(run, content, size);

    return (struct buffer){at, at == NULL ? 0 : size};
}

/* --- arguments ----------------------------------------------------------------------------- */

/* A pointer and a length that fit; or NULL; or a length that nobody has. */
static struct buffer input(struct run *run)
{
    uint8_t pick = next(run);

    if (pick < 200) {
        struct buffer buffer = some_buffer(run, some_size(run));
        if (pick & 1 && buffer.size > 0)
            buffer.size -= next(run) % buffer.size;
        return buffer;
    }
    if (pick < 232)
        return (struct buffer){NULL, number(run)};
    struct buffer buffer = some_buffer(run, 8);
    buffer.size = huge[pick % COUNT(huge)];
    return buffer;
}

/* For lengths inside structures, which the module limits. */
static struct buffer inner(struct run *run, size_t usual)
{
    uint8_t pick = next(run);

    if (pick < 128)
        return some_buffer(run, usual);
    return pick < 250 ? input(run) : (struct buffer){some_buffer(run, 8).at, 65537};
}

char structure_of(CK_ULONG mechanism)
{
    for (size_t i = 0; i < COUNT(structured); i++)
        if (structured[i].mechanism == mechanism)
            return structured[i].structure;
    return 0;
}

static struct buffer structure(struct run *run, char kind)
{
    struct buffer one, two;

    switch (kind) {
    case 'e': {
        one = inner(run, 4);
        CK_EDDSA_PARAMS made = {next(run) & 1, one.size, one.at};
        return buffer_of(run, &made, sizeof made);
    }
    case 'd': {
        CK_ULONG kdf = next(run) & 7;
        one = inner(run, 65), two = inner(run, 0);
        CK_ECDH1_DERIVE_PARAMS made = {kdf, two.size, two.at, one.size, one.at};
        return buffer_of(run, &made, sizeof made);
    }
    case 'c': {
        CK_AES_CTR_PARAMS made = {number(run), {next(run), next(run)}};
        return buffer_of(run, &made, sizeof made);
    }
    case 'g': {
        bool brief = next(run) & 1;
        CK_ULONG tag = next(run) & 1 ? 128 : number(run);
        one = inner(run, 12), two = inner(run, 5);
        CK_GCM_PARAMS whole = {one.at, one.size, 8 * one.size, two.at, two.size, tag};
        HEM_GCM_PARAMS_SHORT old = {one.at, one.size, two.at, two.size, tag};
        return brief ? buffer_of(run, &old, sizeof old) : buffer_of(run, &whole, sizeof whole);
    }
    case 'm': {
        CK_ULONG hedge = next(run) & 3;
        one = inner(run, 9);
        CK_SIGN_ADDITIONAL_CONTEXT made = {hedge, one.at, one.size};
        return buffer_of(run, &made, sizeof made);
    }
    case 'k': { /* CK_CCM_PARAMS: of no mechanism here */
        one = inner(run, 12), two = inner(run, 5);
        uintptr_t made[] = {number(run), P(one.at), one.size, P(two.at), two.size, number(run)};
        return buffer_of(run, made, sizeof made);
    }
    default: { /* CK_HKDF_PARAMS: of no mechanism here either */
        one = inner(run, 16), two = inner(run, 16);
        uintptr_t made[] = {0x101, number(run), number(run), P(one.at), one.size, number(run), P(two.at), two.size};
        return buffer_of(run, made, sizeof made);
    }
    }
}

/* Sizes of the structures: content of such a size must be a structure where one is read. */
static bool is_structure_size(size_t size)
{
    return size == 24 || size == 32 || size == 40 || size == 48;
}

static uint8_t *mechanism(struct run *run)
{
    uint8_t pick = next(run), shape = next(run);

    if (pick == 255)
        return NULL;
    CK_MECHANISM made = {pick < 240 ? mechanisms[pick % COUNT(mechanisms)] : number(run), NULL, 0};
    char kind = structure_of(made.mechanism);
    struct buffer parameter = {NULL, 0};
    if (shape < 96 && kind != 0) {
        parameter = structure(run, kind);
    } else if (shape < 160 && kind == 0) {
        parameter = shape & 1 ? structure(run, "edcgmkh"[shape % 7]) : some_buffer(run, 16);
    } else if (shape < 200) {
        size_t size = some_size(run);
        parameter = some_buffer(run, size);
        if (kind != 0 && is_structure_size(parameter.size))
            parameter.size--;
    } else if (shape < 216) {
        parameter = (struct buffer){NULL, number(run)};
    } else if (shape < 224) {
        parameter = (struct buffer){some_buffer(run, 8).at, shape & 1 ? 65537 : ~0UL};
    }
    made.pParameter = parameter.at;
    made.ulParameterLen = parameter.size;
    return fresh(run, &made, sizeof made);
}

/* Values that an attribute often has. */
static struct buffer value(struct run *run, CK_ULONG type)
{
    uint8_t pick = next(run);
    CK_BBOOL truth = pick & 1;
    CK_ULONG small = pick & 31;

    (void)type;
    if (pick < 64)
        return (struct buffer){fresh(run, &truth, 1), 1};
    if (pick < 128)
        return (struct buffer){fresh(run, &small, sizeof small), sizeof small};
    if (pick < 160) {
        const struct constant *constant = &constants[pick % COUNT(constants)];
        return (struct buffer){fresh(run, constant->bytes, constant->size), constant->size};
    }
    if (pick < 248)
        return some_buffer(run, some_size(run));
    return pick & 1 ? (struct buffer){NULL, number(run)}
                    : (struct buffer){some_buffer(run, 8).at, pick & 2 ? (1UL << 20) + 1 : ~0UL};
}

static void rows(struct run *run, uintptr_t *words, bool query)
{
    uint8_t pick = next(run);
    size_t count = pick & 7;
    CK_ATTRIBUTE made[8];

    if (pick >= 248) {
        words[0] = 0;
        words[1] = number(run);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t which = next(run);
        made[i].type = which < 250 ? attributes[which % COUNT(attributes)] : number(run);
        struct buffer given = query ? some_buffer(run, some_size(run)) : value(run, made[i].type);
        if (query && which % 5 == 0)
            given = (struct buffer){NULL, number(run)};
        made[i].pValue = given.at;
        made[i].ulValueLen = given.size;
    }
    words[0] = P(fresh(run, made, count * sizeof *made));
    words[1] = words[0] == 0 ? 0 : count;
    if (pick >= 240)
        words[1] = pick & 1 ? 1025 : ~0UL;
}

static void output(struct run *run, uintptr_t *words)
{
    uint8_t pick = next(run);
    struct buffer out = some_buffer(run, some_size(run));
    CK_ULONG room = out.size;

    if (pick & 1 && room > 0)
        room = next(run) % room;
    words[0] = pick < 208 ? P(out.at) : 0;
    words[1] = pick == 255 ? 0 : P(fresh(run, &room, sizeof room));
    if (words[1] != 0 && pick >= 208 && pick & 2) /* a query, with any room */
        *(CK_ULONG *)words[1] = number(run);
}

static void message(struct run *run, uintptr_t *words)
{
    uint8_t pick = next(run);

    if (pick < 144) {
        struct buffer iv = inner(run, 12), tag = some_buffer(run, 16);
        CK_ULONG tag_bits = pick & 1 ? 128 : number(run);
        if (tag_bits <= 128 && tag_bits / 8 > tag.size)
            tag_bits = 8 * tag.size;
        CK_GCM_MESSAGE_PARAMS made = {iv.at, iv.size, pick & 2 ? 0 : number(run), pick >> 2 & 7, tag.at, tag_bits};
        words[0] = P(fresh(run, &made, sizeof made));
        words[1] = words[0] == 0 ? 0 : sizeof made;
    } else if (pick < 176) {
        words[0] = words[1] = 0;
    } else if (pick < 208) {
        words[0] = 0;
        words[1] = number(run);
    } else {
        struct buffer other = some_buffer(run, some_size(run));
        words[0] = P(other.at);
        words[1] = other.size == sizeof(CK_GCM_MESSAGE_PARAMS) ? 47 : other.size;
    }
}

static void secret(struct run *run, uintptr_t *words)
{
    uint8_t pick = next(run);

    if (pick < 128 && run->pin != NULL) {
        words[1] = strlen(run->pin);
        words[0] = P(fresh(run, run->pin, words[1]));
        words[1] = words[0] == 0 ? 0 : words[1];
    } else if (pick < 240) {
        struct buffer given = input(run);
        words[0] = P(given.at);
        words[1] = given.size;
    } else {
        words[0] = P(some_buffer(run, 8).at);
        words[1] = 4097;
    }
}

/* A list of so many records of `size` bytes, or NULL. */
static uint8_t *list_of(struct run *run, size_t *room, size_t size)
{
    uint8_t pick = next(run);

    *room = pick & 15;
    return pick < 224 ? take(run, *room * size) : NULL;
}

static size_t structure_size(char kind)
{
    switch (kind) {
    case '1': return sizeof(CK_INFO);
    case '2': return sizeof(CK_SLOT_INFO);
    case '3': return sizeof(CK_TOKEN_INFO);
    case '4': return sizeof(CK_SESSION_INFO);
    case '5': return sizeof(CK_MECHANISM_INFO);
    default: return sizeof(CK_ULONG);
    }
}

size_t words_of(char kind)
{
    return strchr("bktqolgGur", kind) != NULL ? 2 : kind == 'F' ? 3 : 1;
}

static void argument(struct run *run, char kind, uintptr_t *words)
{
    struct buffer buffer;
    size_t room;
    uint8_t pick;

    switch (kind) {
    case 's':
        pick = next(run);
        words[0] = pick < 232 ? run->sessions[pick < 160 ? 0 : pick % SESSIONS] : number(run);
        break;
    case 'n':
        pick = next(run);
        words[0] = pick < 160 ? run->objects[pick % OBJECTS] : number(run);
        break;
    case 'f':
        words[0] = next(run);
        break;
    case 'p':
        words[0] = next(run) < 240 ? 0 : 1;
        break;
    case 'b':
        buffer = input(run);
        words[0] = P(buffer.at);
        words[1] = buffer.size;
        break;
    case 'k':
        secret(run, words);
        break;
    case 'x':
        words[0] = next(run) < 224 ? P(take(run, 32)) : 0;
        break;
    case 'm':
        words[0] = P(mechanism(run));
        break;
    case 't':
    case 'q':
        rows(run, words, kind == 'q');
        break;
    case 'o':
    case 'l':
        output(run, words);
        break;
    case 'g':
    case 'G':
        message(run, words);
        break;
    case 'u': {
        CK_ULONG count;
        words[0] = P(list_of(run, &room, sizeof(CK_ULONG)));
        count = words[0] == 0 ? number(run) : room;
        words[1] = next(run) < 240 ? P(fresh(run, &count, sizeof count)) : 0;
        break;
    }
    case 'F':
        words[0] = P(list_of(run, &room, sizeof(CK_ULONG)));
        words[1] = words[0] != 0 || next(run) < 128 ? room : number(run);
        words[2] = next(run) < 240 ? P(take(run, sizeof(CK_ULONG))) : 0;
        break;
    case 'r':
        buffer = input(run);
        words[0] = P(buffer.at);
        words[1] = buffer.size;
        break;
    case 'I': {
        CK_C_INITIALIZE_ARGS made = {.flags = next(run) & 7};
        pick = next(run);
        if (pick & 1)
            made.CreateMutex = made.DestroyMutex = made.LockMutex = made.UnlockMutex = &made;
        if (pick & 2)
            made.pReserved = &made;
        if (pick & 4)
            made.LockMutex = NULL;
        words[0] = pick < 128 ? 0 : P(fresh(run, &made, sizeof made));
        break;
    }
    default:
        words[0] = next(run) < 232 ? P(take(run, structure_size(kind))) : 0;
    }
}

void make_words(struct run *run, const struct function *function)
{
    size_t used = 0;

    memset(run->words, 0, sizeof run->words);
    run->missing = false;
    if (strcmp(function->kinds, "?") == 0) {
        /* Pointers and numbers as they come; nobody reads through them. */
        for (size_t i = 0; i < MOST_WORDS; i++) {
            uint8_t pick = next(run);
            run->words[i] = pick < 64 ? 0 : pick < 192 ? P(take(run, 64)) : number(run);
        }
        run->missing = true;
        return;
    }
    for (const char *kind = function->kinds; *kind != '\0'; kind++) {
        uintptr_t words[3] = {0, 0, 0};
        size_t count = words_of(*kind);
        argument(run, *kind, words);
        memcpy(run->words + used, words, count * sizeof *words);
        for (size_t i = 0; i < count; i++)
            run->missing = run->missing || (words[i] == 0 && strchr("snf", *kind) == NULL);
        used += count;
    }
}

typedef CK_RV (*any)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                     uintptr_t);

/* Every argument is a machine word (cryptoki.h says so), and who takes fewer does not look at the others. */
CK_RV call_function(const struct function *function, const uintptr_t *words)
{
    any address = (any)function->address;

    return address(words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9]);
}

static void remember(CK_ULONG *list, size_t room, CK_ULONG value)
{
    memmove(list + 1, list, (room - 1) * sizeof *list);
    list[0] = value;
}

void keep_result(struct run *run, const struct function *function, CK_RV rv)
{
    size_t used = 0;

    if (rv != CKR_OK || strcmp(function->kinds, "?") == 0)
        return;
    for (const char *kind = function->kinds; *kind != '\0'; used += words_of(*kind++)) {
        const CK_ULONG *made = (const void *)run->words[used];
        if (*kind == 'R' && made != NULL)
            remember(strcmp(function->name, "C_OpenSession") == 0 ? run->sessions : run->objects,
                     strcmp(function->name, "C_OpenSession") == 0 ? SESSIONS : OBJECTS, *made);
        if (*kind == 'F')
            for (CK_ULONG i = 0; i < *(const CK_ULONG *)run->words[used + 2] && i < OBJECTS; i++)
                remember(run->objects, OBJECTS, made[i]);
    }
}

bool is_standard(CK_RV rv)
{
    for (size_t i = 0; i < COUNT(return_values); i++)
        if (return_values[i] == rv)
            return true;
    return false;
}

struct function functions[] = {
#define ROW(name, parameters, guard, ...) {#name, KINDS_##name, (void (*)(void))name},
#define NO_ROW(name, parameters)
    HEM_FUNCTIONS_2_40(ROW, NO_ROW) HEM_FUNCTIONS_3_0(ROW, NO_ROW) HEM_FUNCTIONS_3_2(ROW, NO_ROW)
};
const size_t function_count = COUNT(functions);

/* --- what Python does with the words ------------------------------------------------------- */

static volatile uint8_t sink;

/* Bytes are looked at one by one, so that the sanitizer sees each. */
static void read_all(uintptr_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sink ^= ((const uint8_t *)at)[i];
}

static void write_all(uintptr_t at, size_t size, uint8_t fill)
{
    if (size > 0)
        memset((void *)at, fill, size);
}

/* False: refused by its length. */
static bool read_view(uintptr_t at, CK_ULONG size, CK_ULONG most)
{
    if (size > most || (at == 0 && size != 0))
        return false;
    read_all(at, size);
    return true;
}

static void read_mechanism(uintptr_t at)
{
    const CK_MECHANISM *given = (const void *)at;
    uintptr_t parameter = P(given->pParameter);
    CK_ULONG size = given->ulParameterLen;

    read_all(at, sizeof *given);
    if (!read_view(parameter, size, MAX_PARAMETER) || size == 0)
        return;
    switch (structure_of(given->mechanism)) {
    case 'e': {
        const CK_EDDSA_PARAMS *eddsa = (const void *)parameter;
        if (size == sizeof *eddsa)
            read_view(P(eddsa->pContextData), eddsa->ulContextDataLen, MAX_PARAMETER);
        break;
    }
    case 'd': {
        const CK_ECDH1_DERIVE_PARAMS *ecdh = (const void *)parameter;
        if (size == sizeof *ecdh && read_view(P(ecdh->pSharedData), ecdh->ulSharedDataLen, MAX_PARAMETER))
            read_view(P(ecdh->pPublicData), ecdh->ulPublicDataLen, MAX_PARAMETER);
        break;
    }
    case 'g': {
        const CK_GCM_PARAMS *gcm = (const void *)parameter;
        const HEM_GCM_PARAMS_SHORT *brief = (const void *)parameter;
        if (size == sizeof *gcm && read_view(P(gcm->pIv), gcm->ulIvLen, MAX_PARAMETER))
            read_view(P(gcm->pAAD), gcm->ulAADLen, MAX_PARAMETER);
        if (size == sizeof *brief && read_view(P(brief->pIv), brief->ulIvLen, MAX_PARAMETER))
            read_view(P(brief->pAAD), brief->ulAADLen, MAX_PARAMETER);
        break;
    }
    case 'm': {
        const CK_SIGN_ADDITIONAL_CONTEXT *context = (const void *)parameter;
        if (size == sizeof *context)
            read_view(P(context->pContext), context->ulContextLen, MAX_PARAMETER);
        break;
    }
    default:
        break;
    }
}

static void touch_rows(uintptr_t at, CK_ULONG count, bool query, uint8_t fill, bool write)
{
    CK_ATTRIBUTE *given = (void *)at;

    if (count > MAX_ATTRIBUTES)
        return;
    for (CK_ULONG i = 0; i < count; i++) {
        if (!query && !read_view(P(given[i].pValue), given[i].ulValueLen, MAX_ATTRIBUTE_BYTES))
            return;
        if (query && write && given[i].pValue != NULL) {
            CK_ULONG size = fill < given[i].ulValueLen ? fill : given[i].ulValueLen;
            write_all(P(given[i].pValue), size, fill);
            given[i].ulValueLen = size;
        }
    }
}

static void touch_message(uintptr_t at, CK_ULONG size, uint8_t fill, bool write)
{
    const CK_GCM_MESSAGE_PARAMS *given = (const void *)at;

    if (at == 0 || size != sizeof *given || given->pIv == NULL || given->pTag == NULL ||
        given->ulTagBits > 8 * MAX_TAG || !read_view(P(given->pIv), given->ulIvLen, MAX_PARAMETER))
        return;
    /* The structure may lie in the buffers that it names. */
    CK_GCM_MESSAGE_PARAMS copy = *given;
    read_all(P(copy.pTag), copy.ulTagBits / 8);
    if (write) {
        write_all(P(copy.pIv), copy.ulIvLen, fill);
        write_all(P(copy.pTag), copy.ulTagBits / 8, fill);
    }
}

static void touch_output(const uintptr_t *words, uint8_t fill, bool write)
{
    CK_ULONG *length = (void *)words[1];

    if (!write) {
        if (words[0] != 0)
            read_all(words[1], sizeof *length);
        return;
    }
    CK_ULONG made = words[0] == 0 ? fill : *length < fill ? *length : fill;
    if (words[0] != 0)
        write_all(words[0], made, fill);
    *length = made;
}

static void touch(char kind, const uintptr_t *words, uint8_t fill, bool write)
{
    switch (kind) {
    case 'b':
        if (!write)
            read_view(words[0], words[1], MAX_LENGTH);
        break;
    case 'k':
        if (!write && words[0] != 0)
            read_view(words[0], words[1], MAX_PIN_BYTES);
        break;
    case 'x':
        if (!write)
            read_all(words[0], 32);
        break;
    case 'm':
        if (!write && words[0] != 0)
            read_mechanism(words[0]);
        break;
    case 't':
    case 'q':
        touch_rows(words[0], words[1], kind == 'q', fill, write);
        break;
    case 'l':
        if (words[1] == 0)
            break;
        /* fall through */
    case 'o':
    case 'u':
        if (kind != 'u')
            touch_output(words, fill, write);
        else if (write) {
            CK_ULONG *count = (void *)words[1];
            CK_ULONG made = words[0] == 0 || fill < *count ? fill : *count;
            if (words[0] != 0)
                write_all(words[0], made * sizeof(CK_ULONG), fill);
            *count = made;
        }
        break;
    case 'g':
        touch_message(words[0], words[1], fill, write);
        break;
    case 'F':
        if (write) {
            CK_ULONG made = words[1] < fill ? words[1] : fill;
            write_all(words[0], made * sizeof(CK_ULONG), fill);
            *(CK_ULONG *)words[2] = made;
        }
        break;
    case 'r':
        if (write && words[1] <= MAX_FILL)
            write_all(words[0], words[1], fill);
        break;
    case 'I':
        if (!write && words[0] != 0)
            read_all(words[0], sizeof(CK_C_INITIALIZE_ARGS));
        break;
    case 'R':
        if (write && words[0] != 0)
            *(CK_ULONG *)words[0] = fill;
        break;
    default:
        if (write && strchr("12345", kind) != NULL)
            write_all(words[0], structure_size(kind), fill);
    }
}

void touch_words(const char *kinds, const uintptr_t *words, uint8_t fill, bool write)
{
    if (strcmp(kinds, "?") == 0)
        return;
    for (const char *kind = kinds; *kind != '\0'; words += words_of(*kind++))
        touch(*kind, words, fill, write);
}
