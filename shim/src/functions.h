/* All functions of Cryptoki in the order of the function lists, each named once.
 *
 *   FORWARD(name, (parameters), guard, words...)   goes to Python
 *   LOCAL(name, (parameters))                      is written out in entry.c
 *
 * `guard` is what must hold of the pointers before anything reads or writes through them;
 * otherwise the answer is CKR_ARGUMENTS_BAD, once the module is initialised. N() and P() turn an argument into a machine word.
 * A parameter that may be NULL by the standard (a mechanism to cancel an operation, the output
 * of a size query, a PIN) is not guarded.
 */
#ifndef HEM_FUNCTIONS_H
#define HEM_FUNCTIONS_H

#include "cryptoki.h"

#define N(number) ((uintptr_t)(number))
#define P(pointer) ((uintptr_t)(pointer))
/* An input of `length` bytes (or records) is readable. */
#define IN(pointer, length) ((pointer) != NULL || (length) == 0)
#define ANY 1

#define SESSION CK_SESSION_HANDLE session

/* Shapes that recur */
#define INIT_PARAMETERS (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
#define INIT_WORDS N(session), P(mechanism), N(key)
#define CRYPT_PARAMETERS (SESSION, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len)
#define CRYPT_WORDS N(session), P(data), N(data_len), P(out), P(out_len)
#define CRYPT_GUARD (IN(data, data_len) && out_len != NULL)
#define INPUT_PARAMETERS (SESSION, CK_BYTE *data, CK_ULONG data_len)
#define INPUT_WORDS N(session), P(data), N(data_len)
#define OUTPUT_PARAMETERS (SESSION, CK_BYTE *out, CK_ULONG *out_len)
#define OUTPUT_WORDS N(session), P(out), P(out_len)
#define TWO_INPUT_PARAMETERS \
    (SESSION, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len)
#define TWO_INPUT_WORDS N(session), P(data), N(data_len), P(signature), N(signature_len)

#define HEM_FUNCTIONS_2_40(FORWARD, LOCAL)                                                         \
    FORWARD(C_Initialize, (void *arguments), ANY, P(arguments))                                    \
    FORWARD(C_Finalize, (void *reserved), ANY, P(reserved))                                        \
    FORWARD(C_GetInfo, (CK_INFO *info), info != NULL, P(info))                                     \
    LOCAL(C_GetFunctionList, (void **list))                                                        \
    FORWARD(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count), count != NULL,  \
            N(present), P(slots), P(count))                                                        \
    FORWARD(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info), info != NULL, N(slot), P(info))  \
    FORWARD(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), info != NULL, N(slot), P(info)) \
    FORWARD(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count),       \
            count != NULL, N(slot), P(list), P(count))                                             \
    FORWARD(C_GetMechanismInfo,                                                                    \
            (CK_SLOT_ID slot, CK_MECHANISM_TYPE mechanism, CK_MECHANISM_INFO *info), info != NULL, \
            N(slot), N(mechanism), P(info))                                                        \
    FORWARD(C_InitToken,                                                                           \
            (CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label),             \
            label != NULL, N(slot), P(pin), N(pin_len), P(label))                                  \
    FORWARD(C_InitPIN, (SESSION, CK_UTF8CHAR *pin, CK_ULONG pin_len), ANY, N(session), P(pin),     \
            N(pin_len))                                                                            \
    FORWARD(C_SetPIN,                                                                              \
            (SESSION, CK_UTF8CHAR *old_pin, CK_ULONG old_len, CK_UTF8CHAR *new_pin,                \
             CK_ULONG new_len),                                                                    \
            ANY, N(session), P(old_pin), N(old_len), P(new_pin), N(new_len))                       \
    FORWARD(C_OpenSession,                                                                         \
            (CK_SLOT_ID slot, CK_FLAGS flags, void *application, void *notify,                     \
             CK_SESSION_HANDLE *session),                                                          \
            session != NULL, N(slot), N(flags), P(application), P(notify), P(session))             \
    FORWARD(C_CloseSession, (SESSION), ANY, N(session))                                            \
    FORWARD(C_CloseAllSessions, (CK_SLOT_ID slot), ANY, N(slot))                                   \
    FORWARD(C_GetSessionInfo, (SESSION, CK_SESSION_INFO *info), info != NULL, N(session), P(info)) \
    FORWARD(C_GetOperationState, OUTPUT_PARAMETERS, out_len != NULL, OUTPUT_WORDS)                 \
    FORWARD(C_SetOperationState,                                                                   \
            (SESSION, CK_BYTE *state, CK_ULONG state_len, CK_OBJECT_HANDLE encryption_key,         \
             CK_OBJECT_HANDLE authentication_key),                                                 \
            IN(state, state_len), N(session), P(state), N(state_len), N(encryption_key),           \
            N(authentication_key))                                                                 \
    FORWARD(C_Login, (SESSION, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len), ANY,        \
            N(session), N(user), P(pin), N(pin_len))                                               \
    FORWARD(C_Logout, (SESSION), ANY, N(session))                                                  \
    FORWARD(C_CreateObject,                                                                        \
            (SESSION, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object),         \
            IN(attributes, count) && object != NULL, N(session), P(attributes), N(count),          \
            P(object))                                                                             \
    FORWARD(C_CopyObject,                                                                          \
            (SESSION, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count,           \
             CK_OBJECT_HANDLE *copy),                                                              \
            IN(attributes, count) && copy != NULL, N(session), N(object), P(attributes), N(count), \
            P(copy))                                                                               \
    FORWARD(C_DestroyObject, (SESSION, CK_OBJECT_HANDLE object), ANY, N(session), N(object))       \
    FORWARD(C_GetObjectSize, (SESSION, CK_OBJECT_HANDLE object, CK_ULONG *size), size != NULL,     \
            N(session), N(object), P(size))                                                        \
    FORWARD(C_GetAttributeValue,                                                                   \
            (SESSION, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count),          \
            IN(attributes, count), N(session), N(object), P(attributes), N(count))                 \
    FORWARD(C_SetAttributeValue,                                                                   \
            (SESSION, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count),          \
            IN(attributes, count), N(session), N(object), P(attributes), N(count))                 \
    FORWARD(C_FindObjectsInit, (SESSION, CK_ATTRIBUTE *attributes, CK_ULONG count),                \
            IN(attributes, count), N(session), P(attributes), N(count))                            \
    FORWARD(C_FindObjects, (SESSION, CK_OBJECT_HANDLE *objects, CK_ULONG room, CK_ULONG *count),   \
            IN(objects, room) && count != NULL, N(session), P(objects), N(room), P(count))         \
    FORWARD(C_FindObjectsFinal, (SESSION), ANY, N(session))                                        \
    FORWARD(C_EncryptInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                       \
    FORWARD(C_Encrypt, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                                 \
    FORWARD(C_EncryptUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                           \
    FORWARD(C_EncryptFinal, OUTPUT_PARAMETERS, out_len != NULL, OUTPUT_WORDS)                      \
    FORWARD(C_DecryptInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                       \
    FORWARD(C_Decrypt, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                                 \
    FORWARD(C_DecryptUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                           \
    FORWARD(C_DecryptFinal, OUTPUT_PARAMETERS, out_len != NULL, OUTPUT_WORDS)                      \
    FORWARD(C_DigestInit, (SESSION, CK_MECHANISM *mechanism), ANY, N(session), P(mechanism))       \
    FORWARD(C_Digest, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                                  \
    FORWARD(C_DigestUpdate, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                     \
    FORWARD(C_DigestKey, (SESSION, CK_OBJECT_HANDLE key), ANY, N(session), N(key))                 \
    FORWARD(C_DigestFinal, OUTPUT_PARAMETERS, out_len != NULL, OUTPUT_WORDS)                       \
    FORWARD(C_SignInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                          \
    FORWARD(C_Sign, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                                    \
    FORWARD(C_SignUpdate, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                       \
    FORWARD(C_SignFinal, OUTPUT_PARAMETERS, out_len != NULL, OUTPUT_WORDS)                         \
    FORWARD(C_SignRecoverInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                   \
    FORWARD(C_SignRecover, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                             \
    FORWARD(C_VerifyInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                        \
    FORWARD(C_Verify, TWO_INPUT_PARAMETERS,                                                        \
            IN(data, data_len) && IN(signature, signature_len), TWO_INPUT_WORDS)                   \
    FORWARD(C_VerifyUpdate, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                     \
    FORWARD(C_VerifyFinal, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                      \
    FORWARD(C_VerifyRecoverInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                 \
    FORWARD(C_VerifyRecover, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                           \
    FORWARD(C_DigestEncryptUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                     \
    FORWARD(C_DecryptDigestUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                     \
    FORWARD(C_SignEncryptUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                       \
    FORWARD(C_DecryptVerifyUpdate, CRYPT_PARAMETERS, CRYPT_GUARD, CRYPT_WORDS)                     \
    FORWARD(C_GenerateKey,                                                                         \
            (SESSION, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes, CK_ULONG count,           \
             CK_OBJECT_HANDLE *key),                                                               \
            mechanism != NULL && IN(attributes, count) && key != NULL, N(session), P(mechanism),   \
            P(attributes), N(count), P(key))                                                       \
    FORWARD(C_GenerateKeyPair,                                                                     \
            (SESSION, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_attributes,                    \
             CK_ULONG public_count, CK_ATTRIBUTE *private_attributes, CK_ULONG private_count,      \
             CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key),                         \
            mechanism != NULL && IN(public_attributes, public_count) &&                            \
                IN(private_attributes, private_count) && public_key != NULL &&                     \
                private_key != NULL,                                                               \
            N(session), P(mechanism), P(public_attributes), N(public_count),                       \
            P(private_attributes), N(private_count), P(public_key), P(private_key))                \
    FORWARD(C_WrapKey,                                                                             \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,                      \
             CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_len),                               \
            mechanism != NULL && out_len != NULL, N(session), P(mechanism), N(wrapping_key),       \
            N(key), P(out), P(out_len))                                                            \
    FORWARD(C_UnwrapKey,                                                                           \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped,  \
             CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count,                       \
             CK_OBJECT_HANDLE *key),                                                               \
            mechanism != NULL && IN(wrapped, wrapped_len) && IN(attributes, count) && key != NULL, \
            N(session), P(mechanism), N(unwrapping_key), P(wrapped), N(wrapped_len),               \
            P(attributes), N(count), P(key))                                                       \
    FORWARD(C_DeriveKey,                                                                           \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_key,                          \
             CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *key),                     \
            mechanism != NULL && IN(attributes, count), N(session), P(mechanism), N(base_key),     \
            P(attributes), N(count), P(key))                                                       \
    FORWARD(C_SeedRandom, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                       \
    FORWARD(C_GenerateRandom, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                   \
    LOCAL(C_GetFunctionStatus, (SESSION))                                                          \
    LOCAL(C_CancelFunction, (SESSION))                                                             \
    FORWARD(C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved), slot != NULL,  \
            N(flags), P(slot), P(reserved))

/* Message-based functions: `parameter` belongs to the mechanism and is read and written. */
#define MESSAGE_PARAMETER void *parameter, CK_ULONG parameter_len
#define MESSAGE_WORDS P(parameter), N(parameter_len)
#define CRYPT_MESSAGE_PARAMETERS                                                                   \
    (SESSION, MESSAGE_PARAMETER, CK_BYTE *associated, CK_ULONG associated_len, CK_BYTE *data,      \
     CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len)
#define CRYPT_MESSAGE_GUARD                                                                        \
    (IN(parameter, parameter_len) && IN(associated, associated_len) && IN(data, data_len) &&       \
     out_len != NULL)
#define CRYPT_MESSAGE_WORDS                                                                        \
    N(session), MESSAGE_WORDS, P(associated), N(associated_len), P(data), N(data_len), P(out),     \
        P(out_len)
#define BEGIN_PARAMETERS                                                                           \
    (SESSION, MESSAGE_PARAMETER, CK_BYTE *associated, CK_ULONG associated_len)
#define BEGIN_GUARD (IN(parameter, parameter_len) && IN(associated, associated_len))
#define BEGIN_WORDS N(session), MESSAGE_WORDS, P(associated), N(associated_len)
#define NEXT_PARAMETERS                                                                            \
    (SESSION, MESSAGE_PARAMETER, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out,                   \
     CK_ULONG *out_len, CK_FLAGS flags)
#define NEXT_GUARD (IN(parameter, parameter_len) && IN(data, data_len) && out_len != NULL)
#define NEXT_WORDS                                                                                 \
    N(session), MESSAGE_WORDS, P(data), N(data_len), P(out), P(out_len), N(flags)
#define SIGN_MESSAGE_PARAMETERS                                                                    \
    (SESSION, MESSAGE_PARAMETER, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len)
#define SIGN_MESSAGE_GUARD (IN(parameter, parameter_len) && IN(data, data_len))
#define SIGN_MESSAGE_WORDS N(session), MESSAGE_WORDS, P(data), N(data_len), P(out), P(out_len)
#define VERIFY_MESSAGE_PARAMETERS                                                                  \
    (SESSION, MESSAGE_PARAMETER, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,             \
     CK_ULONG signature_len)
#define VERIFY_MESSAGE_GUARD                                                                       \
    (IN(parameter, parameter_len) && IN(data, data_len) && IN(signature, signature_len))
#define VERIFY_MESSAGE_WORDS                                                                       \
    N(session), MESSAGE_WORDS, P(data), N(data_len), P(signature), N(signature_len)

#define HEM_FUNCTIONS_3_0(FORWARD, LOCAL)                                                          \
    LOCAL(C_GetInterfaceList, (CK_INTERFACE * interfaces, CK_ULONG * count))                       \
    LOCAL(C_GetInterface,                                                                          \
          (CK_UTF8CHAR * name, CK_VERSION * version, CK_INTERFACE * *interface, CK_FLAGS flags))   \
    FORWARD(C_LoginUser,                                                                           \
            (SESSION, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,                       \
             CK_UTF8CHAR *user_name, CK_ULONG user_name_len),                                      \
            IN(user_name, user_name_len), N(session), N(user), P(pin), N(pin_len), P(user_name),   \
            N(user_name_len))                                                                      \
    FORWARD(C_SessionCancel, (SESSION, CK_FLAGS flags), ANY, N(session), N(flags))                 \
    FORWARD(C_MessageEncryptInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                \
    FORWARD(C_EncryptMessage, CRYPT_MESSAGE_PARAMETERS, CRYPT_MESSAGE_GUARD, CRYPT_MESSAGE_WORDS)  \
    FORWARD(C_EncryptMessageBegin, BEGIN_PARAMETERS, BEGIN_GUARD, BEGIN_WORDS)                     \
    FORWARD(C_EncryptMessageNext, NEXT_PARAMETERS, NEXT_GUARD, NEXT_WORDS)                         \
    FORWARD(C_MessageEncryptFinal, (SESSION), ANY, N(session))                                     \
    FORWARD(C_MessageDecryptInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                \
    FORWARD(C_DecryptMessage, CRYPT_MESSAGE_PARAMETERS, CRYPT_MESSAGE_GUARD, CRYPT_MESSAGE_WORDS)  \
    FORWARD(C_DecryptMessageBegin, BEGIN_PARAMETERS, BEGIN_GUARD, BEGIN_WORDS)                     \
    FORWARD(C_DecryptMessageNext, NEXT_PARAMETERS, NEXT_GUARD, NEXT_WORDS)                         \
    FORWARD(C_MessageDecryptFinal, (SESSION), ANY, N(session))                                     \
    FORWARD(C_MessageSignInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                   \
    FORWARD(C_SignMessage, SIGN_MESSAGE_PARAMETERS, SIGN_MESSAGE_GUARD && out_len != NULL,         \
            SIGN_MESSAGE_WORDS)                                                                    \
    FORWARD(C_SignMessageBegin, (SESSION, MESSAGE_PARAMETER), IN(parameter, parameter_len),        \
            N(session), MESSAGE_WORDS)                                                             \
    FORWARD(C_SignMessageNext, SIGN_MESSAGE_PARAMETERS, SIGN_MESSAGE_GUARD, SIGN_MESSAGE_WORDS)    \
    FORWARD(C_MessageSignFinal, (SESSION), ANY, N(session))                                        \
    FORWARD(C_MessageVerifyInit, INIT_PARAMETERS, ANY, INIT_WORDS)                                 \
    FORWARD(C_VerifyMessage, VERIFY_MESSAGE_PARAMETERS, VERIFY_MESSAGE_GUARD,                      \
            VERIFY_MESSAGE_WORDS)                                                                  \
    FORWARD(C_VerifyMessageBegin, (SESSION, MESSAGE_PARAMETER), IN(parameter, parameter_len),      \
            N(session), MESSAGE_WORDS)                                                             \
    FORWARD(C_VerifyMessageNext, VERIFY_MESSAGE_PARAMETERS, VERIFY_MESSAGE_GUARD,                  \
            VERIFY_MESSAGE_WORDS)                                                                  \
    FORWARD(C_MessageVerifyFinal, (SESSION), ANY, N(session))

#define HEM_FUNCTIONS_3_2(FORWARD, LOCAL)                                                          \
    FORWARD(C_EncapsulateKey,                                                                      \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE public_key,                        \
             CK_ATTRIBUTE *attributes, CK_ULONG count, CK_BYTE *out, CK_ULONG *out_len,            \
             CK_OBJECT_HANDLE *key),                                                               \
            mechanism != NULL && IN(attributes, count) && out_len != NULL &&                       \
                (key != NULL || out == NULL),                                                      \
            N(session), P(mechanism), N(public_key), P(attributes), N(count), P(out), P(out_len),  \
            P(key))                                                                                \
    FORWARD(C_DecapsulateKey,                                                                      \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE private_key,                       \
             CK_ATTRIBUTE *attributes, CK_ULONG count, CK_BYTE *ciphertext,                        \
             CK_ULONG ciphertext_len, CK_OBJECT_HANDLE *key),                                      \
            mechanism != NULL && IN(attributes, count) && IN(ciphertext, ciphertext_len) &&        \
                key != NULL,                                                                       \
            N(session), P(mechanism), N(private_key), P(attributes), N(count), P(ciphertext),      \
            N(ciphertext_len), P(key))                                                             \
    FORWARD(C_VerifySignatureInit,                                                                 \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *signature,           \
             CK_ULONG signature_len),                                                              \
            IN(signature, signature_len), N(session), P(mechanism), N(key), P(signature),          \
            N(signature_len))                                                                      \
    FORWARD(C_VerifySignature, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)                  \
    FORWARD(C_VerifySignatureUpdate, INPUT_PARAMETERS, IN(data, data_len), INPUT_WORDS)            \
    FORWARD(C_VerifySignatureFinal, (SESSION), ANY, N(session))                                    \
    FORWARD(C_GetSessionValidationFlags, (SESSION, CK_ULONG type, CK_FLAGS *flags),                \
            flags != NULL, N(session), N(type), P(flags))                                          \
    FORWARD(C_AsyncComplete, (SESSION, CK_UTF8CHAR *function, void *result), ANY, N(session),      \
            P(function), P(result))                                                                \
    FORWARD(C_AsyncGetID, (SESSION, CK_UTF8CHAR *function, CK_ULONG *id), ANY, N(session),         \
            P(function), P(id))                                                                    \
    FORWARD(C_AsyncJoin,                                                                           \
            (SESSION, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data, CK_ULONG data_len),       \
            ANY, N(session), P(function), N(id), P(data), N(data_len))                             \
    FORWARD(C_WrapKeyAuthenticated,                                                                \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,                      \
             CK_OBJECT_HANDLE key, CK_BYTE *associated, CK_ULONG associated_len, CK_BYTE *out,     \
             CK_ULONG *out_len),                                                                   \
            mechanism != NULL && IN(associated, associated_len) && out_len != NULL, N(session),    \
            P(mechanism), N(wrapping_key), N(key), P(associated), N(associated_len), P(out),       \
            P(out_len))                                                                            \
    FORWARD(C_UnwrapKeyAuthenticated,                                                              \
            (SESSION, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped,  \
             CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_BYTE *associated,  \
             CK_ULONG associated_len, CK_OBJECT_HANDLE *key),                                      \
            mechanism != NULL && IN(wrapped, wrapped_len) && IN(attributes, count) &&              \
                IN(associated, associated_len) && key != NULL,                                     \
            N(session), P(mechanism), N(unwrapping_key), P(wrapped), N(wrapped_len),               \
            P(attributes), N(count), P(associated), N(associated_len), P(key))

#endif
