/* Prints what hem_pin_from_file() makes of each file named: "pin HEX", or "problem TEXT". */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pin.h"

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        char *pin = hem_pin_from_file(paths[i]);
        const char *text = "";
        int flags;

        if (pin != NULL) {
            printf("pin ");
            for (const char *byte = pin; *byte != '\0'; byte++)
                printf("%02x", (unsigned char)*byte);
            printf("\n");
        } else {
            ERR_peek_last_error_all(NULL, NULL, NULL, &text, &flags);
            printf("problem %s\n", text);
            ERR_clear_error();
        }
        hem_pin_free(pin);
    }
    return 0;
}
