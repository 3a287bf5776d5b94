"""Return values of the PKCS#11 module. See ``entries``."""

from __future__ import annotations

from hem_provider.cli.helping.entries import written

__all__ = ["RETURNS"]

#: Of the library and the device, of logins, then of objects and operations.
RETURNS = written("""
CKR_GENERAL_ERROR: the module cannot work as it is set up, or has met what it does not expect.
  because: at `C_Initialize` and `C_Login` the configuration or the passphrase's source; else a fault of
    ours.
  do: the line in the log says which (docs/pkcs11.md); `hem pkcs11 info` shows it, too.
CKR_FUNCTION_FAILED: the device refused the operation.
  because: HemOperationFailed or HemRequestRefused: wrong type or use of the key, a firmware that does not
    have it.
  do: the log has the reason; `hem keys show KEY`.
CKR_DEVICE_ERROR: the connection broke, the device failed, its clock is wrong, or its answer cannot be true.
  because: the log names it: HemUnreachable, HemTimeout, HemTLSError, HemClockError, HemDeviceFault,
    HemOutcomeUnknown.
  do: try again; sessions and logins stay. After a call that changes the device read the log first.
CKR_DEVICE_MEMORY: a certificate or data object could not be stored.
  because: the disk is full or read-only, the object too large, or there are too many.
  do: see E-DISK-FULL; the log names the file.
CKR_HOST_MEMORY: out of memory, or the calling thread's stack is too small.
  because: a program that forbids threads of ours (`CKF_LIBRARY_CANT_CREATE_OS_THREADS`) calls from a small
    stack.
  do: raise the limit (`ulimit -s`), or run the module in a process of its own (docs/recipes/p11-kit.md).
CKR_CRYPTOKI_NOT_INITIALIZED: the module is not started, or was ended.
  because: no `C_Initialize` yet, after `C_Finalize`, after `fork`, or while the program ends.
  do: call `C_Initialize`; in a forked child again.
CKR_CRYPTOKI_ALREADY_INITIALIZED: the module is started already.
  because: two parts of a program use it.
  do: go on: most callers take it for success.
CKR_CANT_LOCK: the program wants locks of its own alone.
  because: it gave mutex functions without `CKF_OS_LOCKING_OK`.
  do: allow the system's.
CKR_ARGUMENTS_BAD: an argument is missing or contradicts another.
  because: a NULL pointer, a reserved field that is set, a PIN that is not given where one must be.
  do: mend the call.
CKR_FUNCTION_NOT_SUPPORTED: the module does not have this function.
  because: there is no RSA, so no recovering of signed data; some functions of 3.2 have no use here.
  do: docs/pkcs11.md lists all functions.
CKR_FUNCTION_NOT_PARALLEL: there are no functions that run beside.
  because: `C_GetFunctionStatus` and `C_CancelFunction` are of old versions of the standard.
  do: do not call them.
CKR_SLOT_ID_INVALID: there is no such slot.
  because: the number is another one than in the configuration; slots are counted from 0 in its order.
  do: `hem pkcs11 info`; `slot` pins a number.
CKR_TOKEN_NOT_PRESENT: the device does not answer.
  because: it is away, its certificate is not trusted, or an agent is wanted and not there.
  do: `hem pkcs11 info` tells the reason; a device that comes back is seen within 3 s.
CKR_TOKEN_NOT_INITIALIZED: the device is factory-fresh, or was wiped.
  because: nobody owns it yet.
  do: `hem init`.
CKR_TOKEN_WRITE_PROTECTED: nothing may be written.
  because: the store of certificates is not writable for this user; or `C_InitToken` would wipe a device in
    use.
  do: mend the folder's rights; a wipe needs `allow_wipe = true` (docs/configuration.md).
CKR_NO_EVENT: no slot has changed.
  because: `C_WaitForSlotEvent` was told not to wait.
  do: ask again later.
CKR_SESSION_HANDLE_INVALID: there is no such session.
  because: it was closed, perhaps by another thread.
  do: open one.
CKR_SESSION_EXISTS: sessions are open.
  because: `C_InitToken` wants none.
  do: close all.
CKR_SESSION_READ_ONLY: the session may not change anything of the token.
  because: it was opened without `CKF_RW_SESSION`.
  do: open a read-write session.
CKR_SESSION_READ_ONLY_EXISTS: the security officer cannot log in beside read-only sessions.
  because: the standard forbids it.
  do: close these.
CKR_SESSION_READ_WRITE_SO_EXISTS: no read-only session beside the security officer's login.
  because: the standard forbids it.
  do: log out, or open a read-write session.
CKR_SESSION_PARALLEL_NOT_SUPPORTED: the flag `CKF_SERIAL_SESSION` is missing.
  because: the standard wants it always.
  do: set it.
CKR_SESSION_ASYNC_NOT_SUPPORTED: there are no asynchronous sessions.
  because: `CKF_ASYNC_SESSION` was asked for.
  do: leave it away.
CKR_PIN_INCORRECT: the PIN is not the device's passphrase (for `CKU_SO`: not its master secret).
  because: see E-PASSPHRASE; or no PIN was given and no source of one is configured (HemLoginRequired).
  do: try `hem status --login`, which says more; each wrong one makes the next slower.
CKR_PIN_INVALID: the PIN is not UTF-8 text.
  because: a terminal of another encoding.
  do: type it in UTF-8.
CKR_PIN_LEN_RANGE: the PIN is empty, or longer than a passphrase can be.
  because: nothing was given, or something else than the passphrase.
  do: give the passphrase.
CKR_USER_NOT_LOGGED_IN: a login is needed.
  because: none was made; in the middle of work the device no longer accepts it (changed passphrase), or an
    agent locked.
  do: log in: `--login`; `hem agent unlock`.
CKR_USER_ALREADY_LOGGED_IN: this user is logged in.
  because: a login is the whole program's, not a session's.
  do: go on.
CKR_USER_ANOTHER_ALREADY_LOGGED_IN: the other user is logged in.
  because: user and security officer exclude each other.
  do: `C_Logout` first.
CKR_USER_TYPE_INVALID: there is no such user.
  because: the type is none of `CKU_USER`, `CKU_SO` and `CKU_CONTEXT_SPECIFIC`.
  do: take one of these.
CKR_ACTION_PROHIBITED: it is not permitted.
  because: the login's role or the agent does not allow it (HemScopeDenied); the object is unmodifiable, not
    copyable or not destroyable; or the master secret was to be changed, which is set once.
  do: the log has the reason.
CKR_ATTRIBUTE_READ_ONLY: the attribute cannot be given or changed.
  because: it follows from the object.
  do: leave it out; docs/pkcs11.md has the rule of each attribute.
CKR_ATTRIBUTE_SENSITIVE: the value never leaves the device.
  because: private and secret keys are sensitive here.
  do: use the key where it is.
CKR_ATTRIBUTE_TYPE_INVALID: the object has no such attribute.
  because: it is one of another class or type.
  do: tools ask for many; most take it for a no.
CKR_ATTRIBUTE_VALUE_INVALID: the value of an attribute is none, or not accepted.
  because: a label over 32 characters or not ASCII, a boolean that is not one byte, a date that is no day.
  do: the log names the attribute.
CKR_TEMPLATE_INCOMPLETE: an attribute is missing.
  because: a key needs its type and size or curve.
  do: the log names it; docs/pkcs11.md has a line for each type.
CKR_TEMPLATE_INCONSISTENT: attributes contradict each other, or ask for what no key in the device can be.
  because: mostly `CKA_EXTRACTABLE` true or `CKA_SENSITIVE` false with `CKA_TOKEN` true, or an importing of
    a private key.
  do: `pkcs11-tool` needs `--sensitive --private` for secret keys; the log names the attribute.
CKR_CURVE_NOT_SUPPORTED: the device has no such curve.
  because: it has P-256, P-384, P-521, secp256k1 and the curves 25519 and 448.
  do: choose one of these.
CKR_PARAMETER_SET_NOT_SUPPORTED: there is no such set of ML-KEM or ML-DSA.
  because: ML-KEM 512, 768, 1024 and ML-DSA 44, 65, 87 are there.
  do: choose one of these.
CKR_OBJECT_HANDLE_INVALID: there is no such object.
  because: it was deleted, by another program perhaps, or its session was closed.
  do: search again.
CKR_KEY_HANDLE_INVALID: there is no such key, or it may not be seen without a login.
  because: it was deleted in the device (HemKeyNotFound), or the program is not logged in.
  do: log in, and search again.
CKR_KEY_TYPE_INCONSISTENT: the mechanism is for keys of another type.
  because: ECDSA with an Edwards key, RSA with any: the device has none.
  do: `pkcs11-tool -O` tells the type.
CKR_KEY_FUNCTION_NOT_PERMITTED: the key was not made for this use.
  because: its template denied it, or its family of modes is another one.
  do: make a key for it (docs/symmetric.md).
CKR_KEY_SIZE_RANGE: the key, or the secret, has a size that this does not take.
  because: raw ECDH of P-384, P-521 and X448 is cut to 32 bytes by the firmware, and so refused.
  do: use P-256 or X25519, or `CKM_HEM_DERIVE`.
CKR_KEY_UNEXTRACTABLE: the key never leaves the device, or is not extractable.
  because: `C_WrapKey` wants to take it out.
  do: wrap a session's key.
CKR_KEY_NOT_WRAPPABLE: only secret keys of the session are wrapped.
  because: it is a pair, or wants a trusted wrapping key, of which there are none.
  do: take another key.
CKR_KEY_NOT_NEEDED: the saved state needs no key.
  because: `C_SetOperationState` was given one.
  do: give 0.
CKR_KEY_CHANGED: the saved state was made with another key, or that is gone.
  because: it was deleted, or replaced.
  do: begin anew.
CKR_KEY_INDIGESTIBLE: the key cannot be hashed.
  because: its bytes are in the device.
  do: only keys of the session can.
CKR_KEY_EXHAUSTED: no IV is left for this key that it has not seen.
  because: AES-GCM under one key is good for 2^32 messages, or what the fixed part leaves free.
  do: take another key.
CKR_MECHANISM_INVALID: the module has no such mechanism, or not for this.
  because: raw `CKM_ECDSA` and everything of RSA are missing: the device signs whole messages, and has no
    RSA.
  do: `CKM_ECDSA_SHA256` and the like; `pkcs11-tool -M` lists all.
CKR_MECHANISM_PARAM_INVALID: the parameter of the mechanism is not accepted.
  because: of another size, missing, or given where there is none.
  do: docs/pkcs11.md has a parameter for each mechanism; the log says what is wrong.
CKR_DATA_LEN_RANGE: the data are longer than the device takes, empty, or no whole blocks.
  because: a message has 1 byte to 2 KiB; bulk data may need more than `max_calls` calls.
  do: see MessageTooLong. Encrypt bulk data under a session key, and wrap that (docs/symmetric.md).
CKR_ENCRYPTED_DATA_INVALID: the ciphertext is not one of this key: tag or padding do not fit.
  because: it was changed, or key, IV or additional data are others.
  do: check these.
CKR_ENCRYPTED_DATA_LEN_RANGE: the ciphertext has a length that the mode does not have.
  because: it is cut, or of another mode or parameter set.
  do: check where it comes from.
CKR_AEAD_DECRYPT_FAILED: a message does not open: its tag does not fit.
  because: it was changed, or key, IV or additional data are others.
  do: check these.
CKR_SIGNATURE_INVALID: the signature is not good.
  because: of another key, another message or mechanism; or it was changed.
  do: do not trust what was signed.
CKR_SIGNATURE_LEN_RANGE: a signature of this key has another length.
  because: often DER where the standard has r and s side by side.
  do: `--signature-format openssl` turns it in `pkcs11-tool`.
CKR_WRAPPED_KEY_INVALID: the wrapped key does not belong to this wrapping key.
  because: it was changed, or wrapped by another one.
  do: check which.
CKR_WRAPPED_KEY_LEN_RANGE: a wrapped key has 16 to 65544 bytes, whole 8 of them.
  because: it is cut.
  do: check where it comes from.
CKR_WRAPPING_KEY_HANDLE_INVALID: there is no such wrapping key.
  because: it was deleted, or is not seen without a login.
  do: log in, and search again.
CKR_WRAPPING_KEY_TYPE_INCONSISTENT: the wrapping key is no AES key.
  because: keys are wrapped by AES alone.
  do: take one of usage wrap.
CKR_UNWRAPPING_KEY_HANDLE_INVALID: there is no such key to unwrap with.
  because: it was deleted, or is not seen without a login.
  do: log in, and search again.
CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT: the key to unwrap with is no AES key.
  because: keys are wrapped by AES alone.
  do: take one of usage wrap.
CKR_OPERATION_ACTIVE: the session does such an operation already.
  because: one at a time of a kind.
  do: finish it, or use another session.
CKR_OPERATION_NOT_INITIALIZED: nothing was begun, or it has ended.
  because: an error ends an operation, and so does a logout; no key asks for `CKU_CONTEXT_SPECIFIC`.
  do: begin anew.
CKR_STATE_UNSAVEABLE: this operation cannot be saved.
  because: only digests and signatures can.
  do: finish it in this session.
CKR_SAVED_STATE_INVALID: there is no such state, or too old a one.
  because: states are of one process, and end with the login.
  do: begin anew.
CKR_BUFFER_TOO_SMALL: the result needs more room.
  because: the size that was asked for is told beside.
  do: call again with that much: the operation goes on.
CKR_RANDOM_SEED_NOT_SUPPORTED: the generators seed themselves.
  because: `C_SeedRandom` has no use here.
  do: go on.
""")
