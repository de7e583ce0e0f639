/* How a record lies in the `records` database. Pure functions over bytes: what comes from the file is believed only
 * after every length and the checksum agree.
 *
 *     ┌──────── rm_store__head, 144 bytes ────────┬────────────┬───────┬────┬──────────────┬───────────┬─────────┐
 *     │ checksum │ version … lengths … key tenant │ name space │ model │ id │ content type │ canonical │ content │
 *     └──────────┴────────────────────────────────┴────────────┴───────┴────┴──────────────┴───────────┴─────────┘
 *                 └─ XXH3-64 of all that follows the checksum itself        └─ one zstd frame where packed_len > 0 ┘
 *
 * Numbers are in the machine's order: the format number in `meta` differs on the other kind, whose cache is set aside.
 */
#ifndef REMORA_STORE_RECORD_H
#define REMORA_STORE_RECORD_H

#include "remora/store.h"

enum { RM_STORE__RECORD_VERSION = 1 };

typedef struct rm_store__head {
    uint64_t checksum;
    uint8_t version, form, op, reserved;
    uint32_t canonical_len, content_len;
    uint32_t packed_len; /* of the zstd frame; 0: canonical and content lie as they are */
    uint16_t name_space_len, model_len, id_len, content_type_len;
    uint64_t birth; /* one for each put, never again: tells a queue's entry for this record from a dead one */
    uint64_t created_ms, expires_ms, stale_until_ms;
    rm_usage usage;
    double cost_usd;
    rm_key128 key, tenant;
} rm_store__head;

/* Memory for compressing (writer) or decompressing (one reader); zeroed is ready, contexts are made when first needed.
 */
typedef struct rm_store__packer {
    void *compress, *decompress;
    char *scratch;
    size_t scratch_bytes;
} rm_store__packer;
void rm_store__packer_deinit(rm_store__packer *packer);
/* Gives back scratch that one huge record needed. */
void rm_store__packer_trim(rm_store__packer *packer);

/* RM_ETOOBIG: over RM_STORE_RECORD_BYTES_MAX, or a short text over its own bound. */
rm_status rm_store__record_bytes(const rm_record *record, size_t *ret_bytes) RM_WARN_UNUSED;
/* Writes the unsealed image of rm_store__record_bytes bytes. */
void rm_store__record_write(const rm_record *record, char *image);
/* The image with canonical and content compressed, in the packer's scratch. RM_ENOTFOUND: it does not pay. RM_ENOMEM.
 */
rm_status rm_store__record_pack(rm_store__packer *packer, rm_slice image, rm_slice *ret_image) RM_WARN_UNUSED;
/* Reads an image of this process's own making that is not (or just being) sealed; slices point into it. */
void rm_store__record_unsealed(const char *image, rm_record *ret_record);
/* The last step: birth and checksum. */
void rm_store__record_seal(char *image, size_t len, uint64_t birth);

/* The head, if all lengths add up to the value's; the checksum is not looked at. */
bool rm_store__record_peek(rm_slice value, rm_store__head *ret_head) RM_WARN_UNUSED;
/* Name space and model of a value that peek agreed to. */
void rm_store__record_labels(rm_slice value, const rm_store__head *head, rm_slice *ret_name_space, rm_slice *ret_model);
/* Everything, checked; slices point into value or the packer's scratch. RM_ECORRUPT: checksum or version; RM_EPARSE: the
 * lengths do not add up or it is another key's, so it is not the record but the tree around it that is damaged. RM_ENOMEM. */
rm_status rm_store__record_read(rm_slice value, rm_key128 key, rm_store__packer *packer,
                                rm_record *ret_record) RM_WARN_UNUSED;

#endif
