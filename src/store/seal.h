/* How an annex or a note lies in its database. Pure functions over bytes, like record.h.
 *
 *     ┌── rm_store__seal, 32 bytes ──┬───────────────────────────────────────────┐
 *     │ checksum │ kind version name │ annex: its record's key, bytes            │
 *     └──────────┴───────────────────┤ note: bytes                               │
 *                 └─ XXH3-64 of all that follows the checksum                    ┘
 *
 * The name is in it so that a value that lies under another's is no answer. Nothing of it changes between the call that
 * makes it and the file. */
#ifndef REMORA_STORE_SEAL_H
#define REMORA_STORE_SEAL_H

#include "remora/store.h"

typedef enum rm_store__sealed { RM_STORE__SEALED_ANNEX = 1, RM_STORE__SEALED_NOTE } rm_store__sealed;

typedef struct rm_store__seal {
    uint64_t checksum;
    uint32_t kind, version;
    rm_key128 name; /* an annex's: {.hi = id, .lo = 0} */
} rm_store__seal;

/* An unsealed value's parts. */
typedef struct rm_store__leaf {
    rm_key128 name;
    rm_key128 record; /* an annex's */
    rm_slice bytes;
} rm_store__leaf;

size_t rm_store__sealed_bytes(rm_store__sealed kind, size_t bytes);
/* Writes rm_store__sealed_bytes bytes. */
void rm_store__seal_write(rm_store__sealed kind, const rm_store__leaf *leaf, char *image);
/* Slices point into `value`, which lies under `name`. RM_ECORRUPT: checksum or version; RM_EPARSE: its length cannot be or
 * it is whole and another's, so it is the tree around it that is damaged. */
rm_status rm_store__unseal(rm_store__sealed kind, rm_key128 name, rm_slice value,
                           rm_store__leaf *ret_leaf) RM_WARN_UNUSED;

#endif
