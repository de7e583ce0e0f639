/* See seal.h. */
#include "seal.h"

#define SEAL_VERSION   1
#define SEAL_BYTES     sizeof(rm_store__seal)
#define CHECKSUM_BYTES sizeof(uint64_t)

_Static_assert(sizeof(rm_store__seal) == 32, "the seal has no padding: every byte is under the checksum");

_Static_assert(sizeof(uint64_t) + SEAL_BYTES == RM_STORE_NOTE_OVERHEAD_BYTES, "a queued note's size and seal");

/* What stands before the bytes. */
static size_t bytes_before(rm_store__sealed kind)
{
    return SEAL_BYTES + (kind == RM_STORE__SEALED_ANNEX ? sizeof(rm_key128) : 0);
}

static uint64_t checksum(const char *image, size_t len)
{
    return rm_hash64(rm_slice_make(image + CHECKSUM_BYTES, len - CHECKSUM_BYTES));
}

size_t rm_store__sealed_bytes(rm_store__sealed kind, size_t bytes)
{
    return bytes_before(kind) + bytes;
}

void rm_store__seal_write(rm_store__sealed kind, const rm_store__leaf *leaf, char *image)
{
    rm_store__seal seal = {.kind = kind, .version = SEAL_VERSION, .name = leaf->name};
    size_t before = bytes_before(kind);
    memcpy(image, &seal, SEAL_BYTES);
    memcpy(image + SEAL_BYTES, &leaf->record, before - SEAL_BYTES);
    if (leaf->bytes.len)
        memcpy(image + before, leaf->bytes.ptr, leaf->bytes.len);
    uint64_t sum = checksum(image, before + leaf->bytes.len);
    memcpy(image, &sum, sizeof(sum));
}

rm_status rm_store__unseal(rm_store__sealed kind, rm_key128 name, rm_slice value, rm_store__leaf *ret_leaf)
{
    rm_store__seal seal;
    rm_store__leaf leaf = {.name = name};
    size_t before = bytes_before(kind);
    if (value.len < before || value.len > before + RM_STORE_ANNEX_BYTES_MAX)
        return RM_EPARSE;
    memcpy(&seal, value.ptr, SEAL_BYTES); /* values lie two-aligned */
    if (seal.checksum != checksum(value.ptr, value.len) || seal.version != SEAL_VERSION)
        return RM_ECORRUPT;
    if (seal.kind != (uint32_t)kind || !rm_key128_eq(seal.name, name))
        return RM_EPARSE;
    memcpy(&leaf.record, value.ptr + SEAL_BYTES, before - SEAL_BYTES);
    leaf.bytes = rm_slice_make(value.ptr + before, value.len - before);
    *ret_leaf = leaf;
    return RM_OK;
}
