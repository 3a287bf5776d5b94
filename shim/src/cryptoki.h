/* Types of the C boundary: just what the entry layer needs to have the standard's ABI. */
#ifndef HEM_CRYPTOKI_H
#define HEM_CRYPTOKI_H

#include <stdint.h>

#include "structures.h"

typedef unsigned char CK_BYTE;
typedef unsigned char CK_BBOOL;
typedef unsigned char CK_UTF8CHAR;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_FLAGS;
typedef CK_ULONG CK_SLOT_ID;
typedef CK_ULONG CK_SESSION_HANDLE;
typedef CK_ULONG CK_OBJECT_HANDLE;
typedef CK_ULONG CK_MECHANISM_TYPE;
typedef CK_ULONG CK_USER_TYPE;

typedef struct CK_INTERFACE {
    CK_UTF8CHAR *pInterfaceName;
    void *pFunctionList;
    CK_FLAGS flags;
} CK_INTERFACE;

#define CKR_OK 0x000UL
#define CKR_HOST_MEMORY 0x002UL
#define CKR_GENERAL_ERROR 0x005UL
#define CKR_FUNCTION_FAILED 0x006UL
#define CKR_ARGUMENTS_BAD 0x007UL
#define CKR_FUNCTION_NOT_PARALLEL 0x051UL
#define CKR_BUFFER_TOO_SMALL 0x150UL
#define CKR_CRYPTOKI_NOT_INITIALIZED 0x190UL

#define CKF_LIBRARY_CANT_CREATE_OS_THREADS 0x001UL

/* Every argument of every function is an integer or a pointer and fits this word. */
_Static_assert(sizeof(CK_ULONG) == sizeof(uintptr_t) && sizeof(void *) == sizeof(uintptr_t),
               "the entry layer passes arguments as machine words");

#endif
