/* Refcounted immutable bytes. */
#include <stdint.h>

#include "remora/base.h"

rm_blob *rm_blob_create(size_t len)
{
    if (len > SIZE_MAX - sizeof(rm_blob))
        return NULL;
    rm_blob *blob = rm_alloc(sizeof(*blob) + len);
    if (!blob)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->flags = 0;
    blob->len = len;
    blob->next = NULL;
    blob->waiting = 0;
    return blob;
}

rm_blob *rm_blob_create_copy(rm_slice slice)
{
    rm_blob *blob = rm_blob_create(slice.len);
    if (blob && slice.len)
        memcpy(blob->data, slice.ptr, slice.len);
    return blob;
}

rm_blob *rm_blob_ref(rm_blob *blob)
{
    uint32_t before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    RM_CHECK(before > 0 && before < UINT32_MAX);
    return blob;
}

void rm_blob_unref(rm_blob *blob)
{
    if (!blob)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    RM_CHECK(before > 0);
    if (before == 1)
        rm_free(blob);
}
