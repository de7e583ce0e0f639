/* See tape.h. */
#include "tape.h"

/* Before each middle: four numbers, seven bits a byte, the lowest first; a set eighth bit says that more follow. */
typedef struct mark {
    uint32_t flags, prefix, middle, suffix;
} mark;

#define NUMBER_BYTES_MAX 5
#define MARK_BYTES_MAX   (4 * NUMBER_BYTES_MAX)

static char *put_number(char *at, uint32_t number)
{
    for (; number > 0x7f; number >>= 7)
        *at++ = (char)(number | 0x80);
    *at++ = (char)number;
    return at;
}

static const char *get_number(const char *at, uint32_t *ret_number)
{
    uint32_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = (unsigned char)*at++;
        number |= (uint32_t)(byte & 0x7f) << shift;
        if (byte <= 0x7f)
            break;
    }
    *ret_number = number;
    return at;
}

static char *put_mark(char *at, const mark *from)
{
    return put_number(put_number(put_number(put_number(at, from->flags), from->prefix), from->middle), from->suffix);
}

static const char *get_mark(const char *at, mark *ret_mark)
{
    at = get_number(get_number(at, &ret_mark->flags), &ret_mark->prefix);
    return get_number(get_number(at, &ret_mark->middle), &ret_mark->suffix);
}

void rm_tape__init(rm_tape *tape, size_t bytes_max)
{
    memset(tape, 0, sizeof *tape);
    /* At worst nothing repeats and every byte is a chunk of its own. */
    rm_buf_init(&tape->text, bytes_max * (MARK_BYTES_MAX + 1));
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

/* Bytes up to and with the first empty line. The C library looks for one byte much faster than for two. */
static size_t event_len(rm_slice text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at && at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at - text.ptr) + 1;
    }
    return text.len;
}

/* What repeats is an event; busy turns bring several in one chunk. */
static rm_slice take_part(rm_slice *rest)
{
    size_t len = event_len(*rest);
    rm_slice part = {rest->ptr, len};
    *rest = (rm_slice){rest->ptr + len, rest->len - len};
    return part;
}

static rm_status add_part(rm_tape *tape, uint32_t flags, rm_slice before, rm_slice now)
{
    size_t prefix = common_prefix(before, now);
    size_t suffix = common_suffix(before, now, prefix);
    mark head = {flags, (uint32_t)prefix, (uint32_t)(now.len - prefix - suffix), (uint32_t)suffix};
    char text[MARK_BYTES_MAX];
    size_t mark_len = (size_t)(put_mark(text, &head) - text);
    rm_status status = rm_buf_reserve(&tape->text, mark_len + head.middle);
    if (status != RM_OK)
        return status;
    rm_buf_append(&tape->text, text, mark_len);
    return rm_buf_append(&tape->text, now.ptr + prefix, head.middle);
}

rm_status rm_tape__add(rm_tape *tape, rm_blob *chunk)
{
    rm_slice rest = rm_blob_slice(chunk), before = rm_blob_slice(tape->last), part;
    rm_status status = rest.len > UINT32_MAX ? RM_ETOOBIG : RM_OK;
    do {
        part = take_part(&rest);
        if (status == RM_OK)
            status = add_part(tape, chunk->flags, before, part);
        before = part;
    } while (rest.len);
    rm_blob *last = NULL;
    if (status == RM_OK && !(last = part.len == chunk->len ? rm_blob_ref(chunk) : rm_blob_create_copy(part)))
        status = RM_ENOMEM;
    rm_blob_unref(tape->last);
    tape->last = last;
    tape->bytes += chunk->len;
    return status;
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
        const char *middle = get_mark(tape->text.ptr + at, &head);
        if (head.flags != run_flags && out.len > run_begin) {
            if (!each(user, run_flags, rm_slice_make(out.ptr + run_begin, out.len - run_begin)))
                status = RM_ECANCELLED;
            run_begin = out.len;
        }
        run_flags = head.flags;
        restore(&out, before_len, &head, middle);
        before_len = (size_t)head.prefix + head.middle + head.suffix;
        at = (size_t)(middle - tape->text.ptr) + head.middle;
    }
    if (status == RM_OK && out.len > run_begin &&
        !each(user, run_flags, rm_slice_make(out.ptr + run_begin, out.len - run_begin)))
        status = RM_ECANCELLED;
    rm_buf_deinit(&out);
    return status;
}
