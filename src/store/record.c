/* See record.h. */
#include "record.h"

#include <zstd.h>

#define HEAD_BYTES     sizeof(rm_store__head)
#define ZSTD_LEVEL     1
#define SCRATCH_KEEP   (1 * RM_MIB)
#define ID_BYTES_MAX   256
#define TYPE_BYTES_MAX 256
#define CHECKSUM_BYTES sizeof(uint64_t)
#define SAVING_PARTS   8 /* compression has to save one part in so many */

_Static_assert(sizeof(rm_store__head) == 144, "the head has no padding: every byte is under the checksum");

void rm_store__packer_deinit(rm_store__packer *packer)
{
    ZSTD_freeCCtx(packer->compress);
    ZSTD_freeDCtx(packer->decompress);
    rm_free(packer->scratch);
    memset(packer, 0, sizeof(*packer));
}

void rm_store__packer_trim(rm_store__packer *packer)
{
    if (packer->scratch_bytes <= SCRATCH_KEEP)
        return;
    rm_free(packer->scratch);
    packer->scratch = NULL;
    packer->scratch_bytes = 0;
}

static rm_status packer_reserve(rm_store__packer *packer, size_t bytes)
{
    if (bytes <= packer->scratch_bytes)
        return RM_OK;
    char *scratch = rm_alloc(bytes);
    if (!scratch)
        return RM_ENOMEM;
    rm_free(packer->scratch);
    packer->scratch = scratch;
    packer->scratch_bytes = bytes;
    return RM_OK;
}

rm_status rm_store__record_bytes(const rm_record *record, size_t *ret_bytes)
{
    if (record->name_space.len > RM_NAMESPACE_BYTES_MAX || record->model.len > RM_MODEL_NAME_BYTES_MAX ||
        record->id.len > ID_BYTES_MAX || record->content_type.len > TYPE_BYTES_MAX ||
        record->canonical.len > RM_STORE_RECORD_BYTES_MAX || record->content.len > RM_STORE_RECORD_BYTES_MAX)
        return RM_ETOOBIG;
    size_t bytes = HEAD_BYTES + record->name_space.len + record->model.len + record->id.len + record->content_type.len +
                   record->canonical.len + record->content.len;
    if (bytes > RM_STORE_RECORD_BYTES_MAX)
        return RM_ETOOBIG;
    *ret_bytes = bytes;
    return RM_OK;
}

static char *put_slice(char *out, rm_slice slice)
{
    if (slice.len)
        memcpy(out, slice.ptr, slice.len);
    return out + slice.len;
}

void rm_store__record_write(const rm_record *record, char *image)
{
    rm_store__head head = {
        .version = RM_STORE__RECORD_VERSION,
        .form = (uint8_t)record->form,
        .op = (uint8_t)record->op,
        .canonical_len = (uint32_t)record->canonical.len,
        .content_len = (uint32_t)record->content.len,
        .name_space_len = (uint16_t)record->name_space.len,
        .model_len = (uint16_t)record->model.len,
        .id_len = (uint16_t)record->id.len,
        .content_type_len = (uint16_t)record->content_type.len,
        .created_ms = record->created_ms,
        .expires_ms = record->expires_ms,
        .stale_until_ms = record->stale_until_ms,
        .usage = record->usage,
        .cost_usd = record->cost_usd,
        .key = record->key,
        .tenant = record->tenant,
    };
    memcpy(image, &head, HEAD_BYTES);
    char *out = image + HEAD_BYTES;
    out = put_slice(out, record->name_space);
    out = put_slice(out, record->model);
    out = put_slice(out, record->id);
    out = put_slice(out, record->content_type);
    out = put_slice(out, record->canonical);
    put_slice(out, record->content);
}

/* Where canonical begins. */
static size_t labels_end(const rm_store__head *head)
{
    return HEAD_BYTES + head->name_space_len + head->model_len + head->id_len + head->content_type_len;
}

rm_status rm_store__record_pack(rm_store__packer *packer, rm_slice image, rm_slice *ret_image)
{
    rm_store__head head;
    memcpy(&head, image.ptr, HEAD_BYTES);
    size_t before = labels_end(&head), plain = image.len - before;
    if (plain < RM_STORE_COMPRESS_BYTES_MIN)
        return RM_ENOTFOUND;
    if (!packer->compress && !(packer->compress = ZSTD_createCCtx()))
        return RM_ENOMEM;
    size_t room = plain - plain / SAVING_PARTS; /* a frame that does not fit does not pay */
    rm_status status = packer_reserve(packer, before + room);
    if (status)
        return status;
    size_t packed =
        ZSTD_compressCCtx(packer->compress, packer->scratch + before, room, image.ptr + before, plain, ZSTD_LEVEL);
    if (ZSTD_isError(packed))
        return RM_ENOTFOUND;
    head.packed_len = (uint32_t)packed;
    memcpy(packer->scratch, image.ptr, before);
    memcpy(packer->scratch, &head, HEAD_BYTES);
    *ret_image = rm_slice_make(packer->scratch, before + packed);
    return RM_OK;
}

static uint64_t checksum(const char *image, size_t len)
{
    return rm_hash64(rm_slice_make(image + CHECKSUM_BYTES, len - CHECKSUM_BYTES));
}

void rm_store__record_seal(char *image, size_t len, uint64_t birth)
{
    memcpy(image + offsetof(rm_store__head, birth), &birth, sizeof(birth));
    uint64_t sum = checksum(image, len);
    memcpy(image, &sum, sizeof(sum));
}

bool rm_store__record_peek(rm_slice value, rm_store__head *ret_head)
{
    if (value.len < HEAD_BYTES)
        return false;
    rm_store__head head; /* values lie two-aligned */
    memcpy(&head, value.ptr, HEAD_BYTES);
    uint64_t plain = (uint64_t)head.canonical_len + head.content_len;
    uint64_t lies = head.packed_len ? head.packed_len : plain;
    if (plain > RM_STORE_RECORD_BYTES_MAX || labels_end(&head) + lies != value.len)
        return false;
    *ret_head = head;
    return true;
}

void rm_store__record_labels(rm_slice value, const rm_store__head *head, rm_slice *ret_name_space, rm_slice *ret_model)
{
    const char *at = value.ptr + HEAD_BYTES;
    *ret_name_space = rm_slice_make(at, head->name_space_len);
    *ret_model = rm_slice_make(at + head->name_space_len, head->model_len);
}

static rm_status unpack(rm_store__packer *packer, rm_slice frame, size_t plain)
{
    if (!packer->decompress && !(packer->decompress = ZSTD_createDCtx()))
        return RM_ENOMEM;
    rm_status status = packer_reserve(packer, plain);
    if (status)
        return status;
    size_t got = ZSTD_decompressDCtx(packer->decompress, packer->scratch, plain, frame.ptr, frame.len);
    return ZSTD_isError(got) || got != plain ? RM_ECORRUPT : RM_OK;
}

static rm_slice take(const char **at, size_t len)
{
    rm_slice slice = rm_slice_make(*at, len);
    *at += len;
    return slice;
}

/* What the head says; *at moves over the labels to where canonical begins. */
static rm_record record_of(const rm_store__head *head, const char **at)
{
    rm_record record = {
        .key = head->key,
        .tenant = head->tenant,
        .form = (rm_record_form)head->form,
        .op = (rm_op)head->op,
        .created_ms = head->created_ms,
        .expires_ms = head->expires_ms,
        .stale_until_ms = head->stale_until_ms,
        .usage = head->usage,
        .cost_usd = head->cost_usd,
    };
    record.name_space = take(at, head->name_space_len);
    record.model = take(at, head->model_len);
    record.id = take(at, head->id_len);
    record.content_type = take(at, head->content_type_len);
    return record;
}

void rm_store__record_unsealed(const char *image, rm_record *ret_record)
{
    /* The writer may be sealing it at this moment: checksum and birth are left alone. */
    rm_store__head head = {0};
    size_t after = offsetof(rm_store__head, birth) + sizeof(head.birth);
    memcpy((char *)&head + CHECKSUM_BYTES, image + CHECKSUM_BYTES, offsetof(rm_store__head, birth) - CHECKSUM_BYTES);
    memcpy((char *)&head + after, image + after, HEAD_BYTES - after);
    const char *at = image + HEAD_BYTES;
    rm_record record = record_of(&head, &at);
    record.canonical = take(&at, head.canonical_len);
    record.content = take(&at, head.content_len);
    *ret_record = record;
}

rm_status rm_store__record_read(rm_slice value, rm_key128 key, rm_store__packer *packer, rm_record *ret_record)
{
    rm_store__head head;
    if (!rm_store__record_peek(value, &head) || !rm_key128_eq(head.key, key))
        return RM_EPARSE;
    if (head.checksum != checksum(value.ptr, value.len) || head.version != RM_STORE__RECORD_VERSION ||
        head.op >= RM_OP_COUNT || (head.form != RM_RECORD_BODY && head.form != RM_RECORD_EVENTS))
        return RM_ECORRUPT;
    const char *at = value.ptr + HEAD_BYTES;
    rm_record record = record_of(&head, &at);
    if (head.packed_len) {
        rm_status status = unpack(packer, rm_slice_make(at, head.packed_len), head.canonical_len + head.content_len);
        if (status)
            return status;
        at = packer->scratch;
    }
    record.canonical = take(&at, head.canonical_len);
    record.content = take(&at, head.content_len);
    *ret_record = record;
    return RM_OK;
}
