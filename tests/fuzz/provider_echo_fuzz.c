/* Any request and any Responses answer: what the answer repeats of another request becomes this one's, and nothing else
 * changes. The first byte says whether events follow ('e') or a body, the first line is the request. */
#include <stdlib.h>

#include "remora/provider.h"

#define OUT_BYTES_MAX (16 * RM_MIB)
#define EVENTS_MAX    64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const members[RM_ECHO_MEMBERS] = {"metadata", "user", "safety_identifier", "prompt_cache_key"};

static bool is_member(rm_slice key, const rm_json *value, void *user)
{
    (void)value;
    (void)user;
    for (size_t i = 0; i < RM_COUNT(members); i++)
        if (rm_slice_eq(key, rm_slice_cstr(members[i])))
            return true;
    return false;
}

static bool is_response(rm_slice key, const rm_json *value, void *user)
{
    (void)value;
    (void)user;
    return rm_slice_eq(key, RM_SLICE("response"));
}

/* By value; what has no canonical form (doubled keys, too deep) is not compared. */
static void same(const rm_json *a, const rm_json *b, rm_json_skip_fn skip)
{
    rm_buf before, after;
    rm_buf_init(&before, OUT_BYTES_MAX);
    rm_buf_init(&after, OUT_BYTES_MAX);
    if (rm_json_canonical(a, skip, NULL, &before) == RM_OK && rm_json_canonical(b, skip, NULL, &after) == RM_OK)
        RM_CHECK(rm_slice_eq(rm_buf_slice(&before), rm_buf_slice(&after)));
    rm_buf_deinit(&before);
    rm_buf_deinit(&after);
}

static bool is_empty(const rm_json *value)
{
    rm_json_type type = rm_json_typeof(value);
    return type == RM_JSON_NULL || (type == RM_JSON_STRING && rm_json_string(value).len == 0) ||
           ((type == RM_JSON_ARRAY || type == RM_JSON_OBJECT) && rm_json_count(value) == 0);
}

static void check_object(const rm_echo *echo, const rm_json *before, const rm_json *after, rm_arena *arena)
{
    same(before, after, is_member);
    for (size_t i = 0; i < RM_COUNT(members); i++) {
        const rm_json *was = rm_json_get(before, members[i]), *is = rm_json_get(after, members[i]), *own;
        RM_CHECK(!was == !is);
        if (!is)
            continue;
        if (!echo->values[i].ptr) {
            RM_CHECK(is_empty(is));
            continue;
        }
        RM_CHECK(rm_json_parse(arena, echo->values[i], &own) == RM_OK);
        same(own, is, NULL);
    }
}

/* True: it was JSON, and is. Of what was none, only that it is no crash is asked. */
static bool check_text(const rm_echo *echo, bool event, rm_slice before, rm_slice after)
{
    rm_arena arena;
    const rm_json *was, *is;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    bool plain = rm_json_parse(&arena, before, &was) == RM_OK;
    if (plain && rm_json_typeof(was) == RM_JSON_OBJECT) {
        RM_CHECK(rm_json_parse(&arena, after, &is) == RM_OK);
        if (event)
            same(was, is, is_response);
        if (event && rm_json_typeof(rm_json_get(was, "response")) == RM_JSON_OBJECT)
            check_object(echo, rm_json_get(was, "response"), rm_json_get(is, "response"), &arena);
        else if (!event)
            check_object(echo, was, is, &arena);
    }
    rm_arena_deinit(&arena);
    return plain;
}

struct events {
    size_t count;
    rm_slice data[EVENTS_MAX];
    rm_arena arena;
};

static void keep_event(void *user, const rm_sse_event *event)
{
    struct events *events = user;
    if (events->count < EVENTS_MAX)
        events->data[events->count] = rm_arena_dup(&events->arena, event->data);
    events->count++;
}

static void read_events(rm_slice text, struct events *ret_events)
{
    rm_sse_parser parser;
    ret_events->count = 0;
    rm_arena_init(&ret_events->arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_sse_parser_init(&parser);
    RM_CHECK(rm_sse_parser_feed(&parser, text, keep_event, ret_events) == RM_OK);
    rm_sse_parser_deinit(&parser);
}

/* A byte order mark inside: a reader skips that line, a writer may take it for a data line. Such streams need only do no
 * harm. */
static bool is_odd(rm_slice text)
{
    for (size_t i = 1; i < text.len; i++) {
        if (rm_slice_has_prefix(rm_slice_make(text.ptr + i, text.len - i), RM_SLICE("\xef\xbb\xbf")))
            return true;
    }
    return false;
}

static bool check_events(const rm_echo *echo, rm_slice before, rm_slice after)
{
    struct events was, is;
    bool plain = true;
    if (is_odd(before))
        return false;
    read_events(before, &was);
    read_events(after, &is);
    RM_CHECK(was.count == is.count);
    for (size_t i = 0; i < was.count && i < EVENTS_MAX; i++)
        plain &= check_text(echo, true, was.data[i], is.data[i]) || was.data[i].len == 0;
    rm_arena_deinit(&was.arena);
    rm_arena_deinit(&is.arena);
    return plain && was.count <= EVENTS_MAX;
}

static void check(const rm_echo *echo, bool events, rm_slice content)
{
    rm_buf out, again;
    rm_buf_init(&out, OUT_BYTES_MAX);
    rm_buf_init(&again, OUT_BYTES_MAX);
    rm_buf_append_char(&out, '|');
    rm_status status = rm_provider_set_echo(echo, events, content, &out);
    RM_CHECK(status == RM_OK || status == RM_ENOTFOUND || status == RM_EPARSE || status == RM_ETOOBIG);
    RM_CHECK(out.len > 0 && out.ptr[0] == '|' && (status == RM_OK || out.len == 1));
    rm_slice after = status == RM_OK ? rm_slice_make(out.ptr + 1, out.len - 1) : content;
    if (status == RM_OK || status == RM_ENOTFOUND) {
        bool plain = events ? check_events(echo, content, after) : check_text(echo, false, content, after);
        /* Once more changes nothing. */
        RM_CHECK(!plain || rm_provider_set_echo(echo, events, after, &again) == RM_ENOTFOUND);
    }
    rm_buf_deinit(&out);
    rm_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line = size > 0 ? (const char *)data + 1 : NULL;
    const char *end = line ? memchr(line, '\n', size - 1) : NULL;
    if (!end)
        return 0;
    rm_arena arena;
    rm_request_info info;
    rm_echo echo;
    rm_arena_init(&arena, NULL, RM_EXCHANGE_ARENA_BYTES_MAX);
    rm_slice request = rm_slice_make(line, (size_t)(end - line));
    rm_slice content = rm_slice_make(end + 1, size - 2 - request.len);
    if (rm_provider_read_request(RM_OP_RESPONSES, request, &arena, &info) == RM_OK &&
        rm_provider_read_echo(&info, &arena, &echo) == RM_OK)
        check(&echo, data[0] == 'e', content);
    rm_arena_deinit(&arena);
    return 0;
}
