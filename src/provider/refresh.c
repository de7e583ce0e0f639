/* Fresh names for an answer that is given again: its own id, wherever it stands, and the times of its making. The ids
 * of items and tool calls within it stay: a provider may have signed them, and the caller sends them back. */
#include "provider_internal.h"

#define ID_BYTES_MAX 256

/* Where the answer's id and times stand, by operation and form. */
static const struct place {
    rm_op op;
    const char *body_id, *events_id, *body_time, *events_time;
} places[] = {
    {RM_OP_CHAT, "id", "id", "created", "created"},
    {RM_OP_COMPLETIONS, "id", "id", "created", "created"},
    {RM_OP_RESPONSES, "id", "response/id", "created_at", "response/created_at"},
    {RM_OP_MESSAGES, "id", "message/id", NULL, NULL},
};

struct refresh {
    rm_rng *rng;
    uint64_t now_s;
    const char *id_path, *time_path;
    char old_id[ID_BYTES_MAX], new_id[ID_BYTES_MAX]; /* with their quotes; empty: none seen yet */
    size_t id_len;
    rm_buf *out;
};

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Same length and look: what stands up to the first '-' or '_' is kept, letters and digits after it are drawn again,
 * in hexadecimal where they were. */
static void draw(rm_rng *rng, char *id, size_t len)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t begin = 0, from = 16;
    while (begin < len && id[begin] != '-' && id[begin] != '_')
        begin++;
    begin = begin == len ? 0 : begin + 1;
    for (size_t i = begin; i < len; i++)
        if (!is_hex_digit(id[i]) && id[i] != '-')
            from = sizeof(digits) - 1;
    for (size_t i = begin; i < len; i++)
        if (is_alphanumeric(id[i]))
            id[i] = digits[rm_rng_next(rng) % from];
}

/* The id's text (quoted) -> the new one's; {NULL,0}: leave it. */
static rm_slice renamed(struct refresh *refresh, rm_slice id)
{
    if (id.len < 3 || id.len > ID_BYTES_MAX || id.ptr[0] != '"' || memchr(id.ptr, '\\', id.len))
        return RM_SLICE_NONE;
    if (refresh->id_len == 0) {
        refresh->id_len = id.len;
        memcpy(refresh->old_id, id.ptr, id.len);
        memcpy(refresh->new_id, id.ptr, id.len);
        draw(refresh->rng, refresh->new_id + 1, id.len - 2);
    }
    if (!rm_slice_eq(id, rm_slice_make(refresh->old_id, refresh->id_len)))
        return RM_SLICE_NONE;
    return rm_slice_make(refresh->new_id, refresh->id_len);
}

struct edit {
    size_t begin, end;
    rm_slice text;
};

/* The spans to replace, in order of place. */
static size_t find_edits(struct refresh *refresh, rm_slice text, rm_slice now, struct edit edits[2])
{
    rm_json_span span;
    size_t count = 0;
    if (refresh->id_path && rm_json_find_span(text, refresh->id_path, &span) == RM_OK) {
        rm_slice id = renamed(refresh, rm_slice_make(text.ptr + span.value_begin, span.value_end - span.value_begin));
        if (id.ptr)
            edits[count++] = (struct edit){span.value_begin, span.value_end, id};
    }
    if (refresh->time_path && rm_json_find_span(text, refresh->time_path, &span) == RM_OK)
        edits[count++] = (struct edit){span.value_begin, span.value_end, now};
    if (count == 2 && edits[0].begin > edits[1].begin) {
        struct edit first = edits[1];
        edits[1] = edits[0];
        edits[0] = first;
    }
    return count;
}

static rm_status put_edited(struct refresh *refresh, rm_slice text, rm_buf *out)
{
    rm_buf now;
    struct edit edits[2];
    size_t at = 0;
    rm_buf_init(&now, 32);
    rm_status status = rm_buf_append_u64(&now, refresh->now_s);
    size_t count = status == RM_OK ? find_edits(refresh, text, rm_buf_slice(&now), edits) : 0;
    for (size_t i = 0; i < count; i++) {
        rm_buf_append(out, text.ptr + at, edits[i].begin - at);
        rm_buf_append_slice(out, edits[i].text);
        at = edits[i].end;
    }
    rm_buf_append(out, text.ptr + at, text.len - at);
    rm_buf_deinit(&now);
    return status == RM_OK ? out->status : status;
}

static rm_status refresh_event(void *user, const rm_sse_event *event)
{
    struct refresh *refresh = user;
    rm_buf data;
    if (!event->has_data || event->data.len == 0 || event->data.ptr[0] != '{')
        return rm_buf_append_slice(refresh->out, event->raw);
    rm_buf_init(&data, event->data.len + ID_BYTES_MAX);
    rm_status status = put_edited(refresh, event->data, &data);
    if (status == RM_OK)
        status = rm_provider__put_event(event, rm_buf_slice(&data), refresh->out);
    rm_buf_deinit(&data);
    return status;
}

rm_status rm_provider_refresh_ids(rm_op op, bool events, rm_slice content, uint64_t now_s, rm_rng *rng, rm_buf *out)
{
    struct refresh refresh = {.rng = rng, .now_s = now_s, .out = out};
    size_t begin = out->len;
    bool known = false;
    for (size_t i = 0; i < RM_COUNT(places); i++) {
        if (places[i].op != op)
            continue;
        refresh.id_path = events ? places[i].events_id : places[i].body_id;
        refresh.time_path = events ? places[i].events_time : places[i].body_time;
        known = true;
    }
    if (!known)
        return rm_buf_append_slice(out, content);
    rm_status status =
        events ? rm_provider__each_event(content, refresh_event, &refresh) : put_edited(&refresh, content, out);
    if (status != RM_OK)
        out->len = begin;
    return status;
}
