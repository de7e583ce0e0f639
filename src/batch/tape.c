/* See tape.h. */
#include "tape.h"

/* Before each middle; all of the same process, so in its own byte order and unaligned. */
typedef struct mark {
    uint32_t flags, prefix, middle, suffix;
} mark;

void rm_tape__init(rm_tape *tape, size_t bytes_max)
{
    memset(tape, 0, sizeof *tape);
    /* At worst nothing repeats and every byte is a chunk of its own. */
    rm_buf_init(&tape->text, bytes_max * (sizeof(mark) + 1));
}

void rm_tape__deinit(rm_tape *tape)
{
    rm_buf_deinit(&tape->text);
    rm_blob_unref(tape->last);
    tape->last = NULL;
}

static size_t common_prefix(rm_slice a, rm_slice b)
{
    size_t most = a.len < b.len ? a.len : b.len, len = 0;
    while (len < most && a.ptr[len] == b.ptr[len])
        len++;
    return len;
}

static size_t common_suffix(rm_slice a, rm_slice b, size_t prefix)
{
    size_t most = (a.len < b.len ? a.len : b.len) - prefix, len = 0;
    while (len < most && a.ptr[a.len - 1 - len] == b.ptr[b.len - 1 - len])
        len++;
    return len;
}

rm_status rm_tape__add(rm_tape *tape, rm_blob *chunk)
{
    rm_slice now = rm_blob_slice(chunk), before = rm_blob_slice(tape->last);
    if (now.len > UINT32_MAX)
        return RM_ETOOBIG;
    size_t prefix = common_prefix(before, now);
    size_t suffix = common_suffix(before, now, prefix);
    mark head = {chunk->flags, (uint32_t)prefix, (uint32_t)(now.len - prefix - suffix), (uint32_t)suffix};
    rm_buf_append(&tape->text, &head, sizeof head);
    rm_status status = rm_buf_append(&tape->text, now.ptr + prefix, head.middle);
    if (status != RM_OK)
        return status;
    rm_blob_unref(tape->last);
    tape->last = rm_blob_ref(chunk);
    tape->bytes += now.len;
    return RM_OK;
}

/* Appends one chunk to `out`, at whose end the chunk before it stands, `before_len` long. */
static void restore(rm_buf *out, size_t before_len, const mark *head, const char *middle)
{
    /* Offsets, as appending may move the buffer; the room was made before. */
    size_t before = out->len - before_len;
    rm_buf_append(out, out->ptr + before, head->prefix);
    rm_buf_append(out, middle, head->middle);
    rm_buf_append(out, out->ptr + before + before_len - head->suffix, head->suffix);
}

rm_status rm_tape__play(const rm_tape *tape, rm_tape_each_fn each, void *user)
{
    rm_buf out;
    rm_buf_init(&out, tape->bytes + 1);
    rm_status status = rm_buf_reserve(&out, tape->bytes + 1);
    size_t run_begin = 0, before_len = 0;
    uint32_t run_flags = 0;
    for (size_t at = 0; status == RM_OK && at < tape->text.len;) {
        mark head;
        memcpy(&head, tape->text.ptr + at, sizeof head);
        at += sizeof head;
        if (head.flags != run_flags && out.len > run_begin) {
            if (!each(user, run_flags, rm_slice_make(out.ptr + run_begin, out.len - run_begin)))
                status = RM_ECANCELLED;
            run_begin = out.len;
        }
        run_flags = head.flags;
        restore(&out, before_len, &head, tape->text.ptr + at);
        before_len = (size_t)head.prefix + head.middle + head.suffix;
        at += head.middle;
    }
    if (status == RM_OK && out.len > run_begin &&
        !each(user, run_flags, rm_slice_make(out.ptr + run_begin, out.len - run_begin)))
        status = RM_ECANCELLED;
    rm_buf_deinit(&out);
    return status;
}
