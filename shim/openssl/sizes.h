/* Sizes that Python states: hem_provider/config/limits.py, keytypes.py and hem_pkcs11/login.py. tests/base/test_tables.py
 * compares them. Plain numbers, since messages hold them as text. */
#ifndef HEM_SIZES_H
#define HEM_SIZES_H

#define HEM_MESSAGE_USUAL 2048 /* bytes that firmware 1.2.2 takes in one signature */
#define HEM_MESSAGE_MAX 524288 /* bytes collected for one signature: the most that firmware_limits says */
#define HEM_PIN_MAX 255      /* bytes of a PIN, at least 1 */
#define HEM_KID_DIGITS 32    /* of the device's key id in hexadecimal */

#define HEM_TEXT(number) HEM_TEXT_OF(number)
#define HEM_TEXT_OF(number) #number

#endif
