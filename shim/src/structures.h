/* The Cryptoki structures the module reads or fills, PKCS #11 3.2 (section numbers of that text).
 *
 * Plain declarations only: the compiler includes this file through cryptoki.h, and
 * build_module.py hands the same text to cffi, which has no preprocessor.
 */

/* 3.1 General information */
typedef struct CK_VERSION {
    unsigned char major;
    unsigned char minor;
} CK_VERSION;

typedef struct CK_INFO {
    CK_VERSION cryptokiVersion;
    unsigned char manufacturerID[32];
    unsigned long flags;
    unsigned char libraryDescription[32];
    CK_VERSION libraryVersion;
} CK_INFO;

/* 3.2 Slot and token types */
typedef struct CK_SLOT_INFO {
    unsigned char slotDescription[64];
    unsigned char manufacturerID[32];
    unsigned long flags;
    CK_VERSION hardwareVersion;
    CK_VERSION firmwareVersion;
} CK_SLOT_INFO;

typedef struct CK_TOKEN_INFO {
    unsigned char label[32];
    unsigned char manufacturerID[32];
    unsigned char model[16];
    unsigned char serialNumber[16];
    unsigned long flags;
    unsigned long ulMaxSessionCount;
    unsigned long ulSessionCount;
    unsigned long ulMaxRwSessionCount;
    unsigned long ulRwSessionCount;
    unsigned long ulMaxPinLen;
    unsigned long ulMinPinLen;
    unsigned long ulTotalPublicMemory;
    unsigned long ulFreePublicMemory;
    unsigned long ulTotalPrivateMemory;
    unsigned long ulFreePrivateMemory;
    CK_VERSION hardwareVersion;
    CK_VERSION firmwareVersion;
    unsigned char utcTime[16];
} CK_TOKEN_INFO;

/* 3.3 Session types */
typedef struct CK_SESSION_INFO {
    unsigned long slotID;
    unsigned long state;
    unsigned long flags;
    unsigned long ulDeviceError;
} CK_SESSION_INFO;

/* 3.4, 3.5 Objects and mechanisms */
typedef struct CK_ATTRIBUTE {
    unsigned long type;
    void *pValue;
    unsigned long ulValueLen;
} CK_ATTRIBUTE;

typedef struct CK_MECHANISM {
    unsigned long mechanism;
    void *pParameter;
    unsigned long ulParameterLen;
} CK_MECHANISM;

typedef struct CK_MECHANISM_INFO {
    unsigned long ulMinKeySize;
    unsigned long ulMaxKeySize;
    unsigned long flags;
} CK_MECHANISM_INFO;

/* 3.7 Locking; the four functions are never called */
typedef struct CK_C_INITIALIZE_ARGS {
    void *CreateMutex;
    void *DestroyMutex;
    void *LockMutex;
    void *UnlockMutex;
    unsigned long flags;
    void *pReserved;
} CK_C_INITIALIZE_ARGS;

/* 6.3 Elliptic curves */
typedef struct CK_EDDSA_PARAMS {
    unsigned char phFlag;
    unsigned long ulContextDataLen;
    unsigned char *pContextData;
} CK_EDDSA_PARAMS;

typedef struct CK_ECDH1_DERIVE_PARAMS {
    unsigned long kdf;
    unsigned long ulSharedDataLen;
    unsigned char *pSharedData;
    unsigned long ulPublicDataLen;
    unsigned char *pPublicData;
} CK_ECDH1_DERIVE_PARAMS;

/* 6.13 AES */
typedef struct CK_AES_CTR_PARAMS {
    unsigned long ulCounterBits;
    unsigned char cb[16];
} CK_AES_CTR_PARAMS;

typedef struct CK_GCM_PARAMS {
    unsigned char *pIv;
    unsigned long ulIvLen;
    unsigned long ulIvBits;
    unsigned char *pAAD;
    unsigned long ulAADLen;
    unsigned long ulTagBits;
} CK_GCM_PARAMS;

/* The same as headers before the 2.40 errata had it, without ulIvBits. */
typedef struct HEM_GCM_PARAMS_SHORT {
    unsigned char *pIv;
    unsigned long ulIvLen;
    unsigned char *pAAD;
    unsigned long ulAADLen;
    unsigned long ulTagBits;
} HEM_GCM_PARAMS_SHORT;

typedef struct CK_GCM_MESSAGE_PARAMS {
    unsigned char *pIv;
    unsigned long ulIvLen;
    unsigned long ulIvFixedBits;
    unsigned long ivGenerator;
    unsigned char *pTag;
    unsigned long ulTagBits;
} CK_GCM_MESSAGE_PARAMS;

/* 6.67, 6.68 ML-DSA */
typedef struct CK_SIGN_ADDITIONAL_CONTEXT {
    unsigned long hedgeVariant;
    unsigned char *pContext;
    unsigned long ulContextLen;
} CK_SIGN_ADDITIONAL_CONTEXT;
