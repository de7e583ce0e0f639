/* What an answer's bytes say: the few headers that count, events of a stream with their times, content to check.
 *
 * Streams are cut into lines by memchr and only the first bytes of each line are kept: enough to tell data from
 * comments and to see the last event, and cheap enough to read hundreds of thousands of events a second. */
#include "load_internal.h"

static rm_load_conn *conn_of(llhttp_t *parser)
{
    return parser->data;
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

static int on_status_complete(llhttp_t *parser)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    answer->status = (uint16_t)llhttp_get_status_code(parser);
    return 0;
}

static void collect(char *kept, uint8_t *len, const char *at, size_t more)
{
    size_t room = RM_LOAD_HEADER_BYTES - (size_t)*len;
    if (more > room)
        more = room;
    memcpy(kept + *len, at, more);
    *len = (uint8_t)(*len + more);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    collect(answer->name, &answer->name_len, at, len);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    if (answer->name_len > 0 && (answer->name[0] | 0x20) != 'x' && (answer->name[0] | 0x20) != 'c')
        return 0;
    collect(answer->value, &answer->value_len, at, len);
    return 0;
}

static rm_load_outcome outcome_of(rm_slice value)
{
    static const char *const names[RM_LOAD_OUTCOME_COUNT] = {
#define X(name, cache, kind) cache,
        RM_LOAD_OUTCOME_MAP(X)
#undef X
    };
    for (int i = RM_LOAD_OUTCOME_hit_other; i < RM_LOAD_OUTCOME_unmarked; i++)
        if (rm_slice_eq_nocase(value, rm_slice_cstr(names[i])))
            return (rm_load_outcome)i;
    return RM_LOAD_OUTCOME_unmarked;
}

static void take_header(rm_load_answer *answer, rm_slice name, rm_slice value)
{
    if (rm_slice_eq_nocase(name, RM_SLICE("x-remora-cache")))
        answer->outcome = outcome_of(value);
    else if (rm_slice_eq_nocase(name, RM_SLICE("x-remora-cache-kind")))
        answer->cache_kind = value.ptr[0];
    else if (rm_slice_eq_nocase(name, RM_SLICE("x-remora-cost-usd")))
        (void)!rm_parse_double(value, &answer->cost_usd);
    else if (rm_slice_eq_nocase(name, RM_SLICE("x-remora-saved-usd")))
        (void)!rm_parse_double(value, &answer->saved_usd);
    else if (rm_slice_eq_nocase(name, RM_SLICE("content-type")))
        answer->stream = rm_slice_has_prefix(value, RM_SLICE("text/event-stream"));
}

static int on_header_value_complete(llhttp_t *parser)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    if (answer->value_len > 0)
        take_header(answer, rm_slice_make(answer->name, answer->name_len),
                    rm_slice_make(answer->value, answer->value_len));
    answer->name_len = answer->value_len = 0;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    if (answer->outcome == RM_LOAD_OUTCOME_hit_other && answer->cache_kind)
        answer->outcome = answer->cache_kind == 'e' ? RM_LOAD_OUTCOME_hit_exact : RM_LOAD_OUTCOME_hit_semantic;
    return 0;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void end_event(rm_load_conn *conn, uint64_t now_ns)
{
    rm_load_answer *answer = &conn->answer;
    if (!answer->event_has_data)
        return;
    answer->event_has_data = false;
    rm_load_stats *stats = conn->run->stats;
    if (answer->events == 0)
        answer->first_event_ns = now_ns;
    else if (conn->record)
        hdr_record_value(stats->gap, (int64_t)(now_ns - answer->last_event_ns));
    answer->last_event_ns = now_ns;
    rm_load__lag_event(conn, answer->events, now_ns);
    answer->events++;
}

static bool line_begins(const rm_load_answer *answer, rm_slice prefix)
{
    return answer->line_len >= prefix.len && memcmp(answer->line, prefix.ptr, prefix.len) == 0;
}

static void end_line(rm_load_conn *conn, uint64_t now_ns)
{
    rm_load_answer *answer = &conn->answer;
    if (answer->line_len > 0 && answer->line[answer->line_len - 1] == '\r' && !answer->line_overflow)
        answer->line_len--;
    if (answer->line_len == 0) {
        end_event(conn, now_ns);
    } else if (line_begins(answer, RM_SLICE("data:"))) {
        answer->event_has_data = true;
        if (line_begins(answer, RM_SLICE("data: [DONE]")))
            answer->terminal = true;
        else if (line_begins(answer, RM_SLICE("data: {\"error\"")))
            answer->error_event = true;
    } else if (line_begins(answer, RM_SLICE("event: "))) {
        if (line_begins(answer, RM_SLICE("event: message_stop")) ||
            line_begins(answer, RM_SLICE("event: response.completed")))
            answer->terminal = true;
        else if (line_begins(answer, RM_SLICE("event: error")))
            answer->error_event = true;
    }
    answer->line_len = 0;
    answer->line_overflow = false;
}

static void scan_lines(rm_load_conn *conn, const char *at, size_t len, uint64_t now_ns)
{
    rm_load_answer *answer = &conn->answer;
    while (len > 0) {
        const char *newline = memchr(at, '\n', len);
        size_t part = newline ? (size_t)(newline - at) : len;
        size_t room = RM_LOAD_LINE_BYTES - answer->line_len;
        answer->line_overflow |= part > room;
        memcpy(answer->line + answer->line_len, at, part < room ? part : room);
        answer->line_len = (uint8_t)(answer->line_len + (part < room ? part : room));
        if (!newline)
            return;
        end_line(conn, now_ns);
        at += part + 1;
        len -= part + 1;
    }
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    rm_load_conn *conn = conn_of(parser);
    conn->answer.body_bytes += len;
    if (conn->answer.stream)
        scan_lines(conn, at, len, uv_hrtime());
    if (conn->run->options->check != RM_LOAD_CHECK_NONE)
        rm_buf_append(&conn->content, at, len);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    rm_load_answer *answer = &conn_of(parser)->answer;
    if (answer->status >= 100 && answer->status < 200)
        return 0; /* an interim answer; the real one follows */
    answer->complete = true;
    answer->keep_alive = llhttp_should_keep_alive(parser);
    return 0;
}

const llhttp_settings_t *rm_load__answer_settings(void)
{
    static const llhttp_settings_t settings = {
        .on_status_complete = on_status_complete,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_header_value_complete = on_header_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    return &settings;
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

/* Moves the inside of each JSON string that is the value of `member` to the front of the text; returns the new end.
 * Only providers' own members are named so, and a quote inside any string is escaped, so no parse is needed. */
static size_t gather_strings(const char *text, size_t len, rm_slice member, char *out)
{
    size_t out_len = 0;
    rm_slice rest = {text, len};
    const char *at;
    while ((at = rm_slice_find(rest, member))) {
        const char *end = text + len, *from = at + member.len;
        while (from < end && *from == ' ')
            from++;
        rest = rm_slice_make(from, (size_t)(end - from));
        if (from == end || *from != '"')
            continue;
        const char *to = ++from;
        while (to < end && *to != '"')
            to += *to == '\\' && to + 1 < end ? 2 : 1;
        if (to > end)
            to = end;
        memmove(out + out_len, from, (size_t)(to - from));
        out_len += (size_t)(to - from);
        rest = rm_slice_make(to, (size_t)(end - to));
    }
    return out_len;
}

/* The answer's words, whichever dialect, streamed or not, in the buffer that held its bytes. */
static rm_slice content_of(rm_load_conn *conn)
{
    const char *op = conn->run->options->op;
    rm_slice member = RM_SLICE("\"content\":");
    if (strcmp(op, "responses") == 0)
        member = conn->answer.stream ? RM_SLICE("\"delta\":") : RM_SLICE("\"text\":");
    else if (strcmp(op, "chat") != 0)
        member = RM_SLICE("\"text\":");
    rm_buf *buf = &conn->content;
    if (strcmp(op, "embeddings") == 0 || conn->run->options->get)
        return rm_buf_slice(buf);
    buf->len = gather_strings(buf->ptr, buf->len, member, buf->ptr);
    return rm_buf_slice(buf);
}

static bool content_right(rm_load_conn *conn)
{
    rm_load_run *run = conn->run;
    if (conn->content.status != RM_OK)
        return false;
    rm_slice content = content_of(conn);
    if (run->options->check == RM_LOAD_CHECK_MOCK) {
        char mark[sizeof(RM_BENCH_REF_PREFIX) - 1 + RM_BENCH_NUMBER_BYTES];
        memcpy(mark, RM_BENCH_REF_PREFIX, sizeof(RM_BENCH_REF_PREFIX) - 1);
        rm_bench__hex16(conn->expected_ref, mark + sizeof(RM_BENCH_REF_PREFIX) - 1);
        return rm_slice_find(content, rm_slice_make(mark, sizeof(mark))) != NULL;
    }
    uint64_t hash = rm_hash64(content);
    if (!run->have_reference) {
        run->have_reference = true;
        run->reference_hash = hash;
    }
    return content.len > 0 && hash == run->reference_hash;
}

rm_load_error rm_load__answer_verdict(rm_load_conn *conn)
{
    const rm_load_answer *answer = &conn->answer;
    if (answer->status >= 400)
        return RM_LOAD_ERROR_status;
    if (answer->stream && (answer->error_event || !answer->terminal))
        return RM_LOAD_ERROR_stream;
    if (conn->run->options->check != RM_LOAD_CHECK_NONE && !content_right(conn))
        return RM_LOAD_ERROR_wrong;
    return RM_LOAD_ERROR_COUNT;
}
