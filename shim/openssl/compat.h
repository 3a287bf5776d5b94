/* OpenSSL as this engine uses it: the interface that 1.1.1 and all of 3.x share.
 *
 * Engines are deprecated in 3.0 (and gone in 4.0), with all that they need. Asking for the 1.1.1
 * interface is OpenSSL's own way of saying that this is known.
 */
#ifndef HEM_COMPAT_H
#define HEM_COMPAT_H

#define OPENSSL_API_COMPAT 0x10101000L

#include <openssl/opensslv.h>
#if OPENSSL_VERSION_NUMBER < 0x10101000L
#error "OpenSSL 1.1.1 or newer is needed"
#endif
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#endif
