/* Slots and tokens held against the attributes of a PKCS#11 URI (RFC 7512). */
#include "match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "module.h"

enum { SLOTS_MAX = 256 };

/* The standard pads text with blanks. */
void hem_unpad(char *text, const unsigned char *padded, size_t size)
{
    memcpy(text, padded, size);
    text[size] = '\0';
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\0'))
        text[--size] = '\0';
}

static bool fits(const struct hem_text *wanted, const unsigned char *padded, size_t size)
{
    char text[65];

    hem_unpad(text, padded, size);
    return wanted->data == NULL || strcmp((const char *)wanted->data, text) == 0;
}

static bool token_fits(const struct hem_name *name, const CK_TOKEN_INFO *info)
{
    return fits(&name->token, info->label, sizeof info->label) &&
           fits(&name->manufacturer, info->manufacturerID, sizeof info->manufacturerID) &&
           fits(&name->model, info->model, sizeof info->model) &&
           fits(&name->serial, info->serialNumber, sizeof info->serialNumber);
}

static bool slot_fits(const CK_FUNCTION_LIST *module, const struct hem_name *name, CK_SLOT_ID slot)
{
    CK_SLOT_INFO info;

    if (name->slot_id.data != NULL && strtoul((const char *)name->slot_id.data, NULL, 10) != slot)
        return false;
    if (name->slot_description.data == NULL && name->slot_manufacturer.data == NULL)
        return true;
    return module->C_GetSlotInfo(slot, &info) == CKR_OK &&
           fits(&name->slot_description, info.slotDescription, sizeof info.slotDescription) &&
           fits(&name->slot_manufacturer, info.manufacturerID, sizeof info.manufacturerID);
}

bool hem_match_library(const CK_FUNCTION_LIST *module, const struct hem_name *name)
{
    CK_INFO info;
    char version[8];

    if (name->library_description.data == NULL && name->library_manufacturer.data == NULL &&
        name->library_version.data == NULL)
        return true;
    if (module->C_GetInfo(&info) != CKR_OK)
        return false;
    snprintf(version, sizeof version, "%u.%u", info.libraryVersion.major,
             info.libraryVersion.minor);
    return fits(&name->library_description, info.libraryDescription,
                sizeof info.libraryDescription) &&
           fits(&name->library_manufacturer, info.manufacturerID, sizeof info.manufacturerID) &&
           (name->library_version.data == NULL ||
            strcmp((const char *)name->library_version.data, version) == 0);
}

static void add_label(struct hem_match *match, const CK_TOKEN_INFO *info)
{
    char label[33];
    size_t used = strlen(match->labels);

    hem_unpad(label, info->label, sizeof info->label);
    snprintf(match->labels + used, sizeof match->labels - used, "%s'%s'",
             used == 0 ? "" : ", ", label);
}

bool hem_match_slots(const CK_FUNCTION_LIST *module, const struct hem_name *name,
                     struct hem_match *match)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;

    memset(match, 0, sizeof *match);
    CK_RV rv = module->C_GetSlotList(0, slots, &count);
    if (rv == CKR_OK && count > SLOTS_MAX)
        rv = CKR_GENERAL_ERROR;
    if (rv != CKR_OK) {
        hem_error_rv(rv, "C_GetSlotList", hem_module_path());
        return false;
    }
    if (count == 0) {
        hem_error(HEM_R_TOKEN, "%s has no slots: no HEM is configured (set HEM_URL, or write the "
                               "configuration file)", hem_module_path());
        return false;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        if (!slot_fits(module, name, slots[i]) ||
            module->C_GetTokenInfo(slots[i], &info) != CKR_OK)
            continue;
        add_label(match, &info);
        if (token_fits(name, &info)) {
            match->fitting++;
            match->slot = slots[i];
            match->info = info;
        }
    }
    return true;
}
