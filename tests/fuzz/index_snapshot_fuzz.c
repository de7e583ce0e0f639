/* Any bytes as a snapshot: refused by the checksum; and with the right checksum put in, refused or an index that can
 * be used. FAISS's own bytes are left out: only the checksum stands before them, and its reader is not made for
 * this. */
#include "index_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIMENSIONS = 4, HEAD_BYTES = 64 };

static void use(rm_index *index)
{
    static const float vector[DIMENSIONS] = {0, 1};
    rm_index_stats stats = rm_index_get_stats(index);
    rm_index_hit hits[4];
    uint32_t count = 0;
    size_t cursor = 0;
    rm_key128 key;
    void *partition;
    bool more;
    RM_CHECK(stats.large == 0);
    for (size_t i = 0; i < RM_INDEX__SHARDS; i++, cursor = 0)
        while (rm_map_next(&index->shards[i].partitions, &cursor, &key, &partition)) {
            RM_CHECK(rm_index_search(index, key, vector, RM_COUNT(hits), hits, &count) == RM_OK);
            RM_CHECK(count <= RM_COUNT(hits) && count <= rm_index_count(index, key));
        }
    RM_CHECK(rm_index_add(index, (rm_key128){1, 1}, 1, vector) == RM_OK);
    RM_CHECK(rm_index_maintain(index, &more) == RM_OK && !more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const rm_index_options options = {.dimensions = DIMENSIONS, .fingerprint = "f"};
    rm_index *index = NULL;
    uint64_t sequence = 0;
    char *bytes = rm_alloc(size);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    rm_slice slice = rm_slice_make(bytes, size);
    rm_status status = rm_index__snapshot_verify(slice);
    if (size >= HEAD_BYTES) {
        rm_index__snapshot_seal(bytes, size);
        status = rm_index__snapshot_decode(slice, &options, false, &index, &sequence);
        RM_CHECK((status == RM_OK) == (index != NULL));
    } else {
        RM_CHECK(status == RM_ECORRUPT);
    }
    if (index)
        use(index);
    rm_index_destroy(index);
    rm_free(bytes);
    return 0;
}
