/* Answers: llhttp, fed piece by piece; the head's lines go into the caller's buffer as they come.
 *
 * llhttp is a little more lenient here than with requests: a line may end with a bare LF or be folded, and spaces may
 * follow a chunk's size, as every client of these upstreams allows; nothing that changes where an answer ends. */
#include "wire_internal.h"

struct rm_http_answer {
    llhttp_t llhttp;
    const rm_http_answer_events *events;
    void *user;
    rm_buf *lines;
    int status;  /* of the final head; 0: still to come */
    size_t held; /* body bytes that llhttp has seen and on_data has not */
    bool no_body, pausing, stopped, complete;
};

/* ---- head -------------------------------------------------------------------------------------------------------- */

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_answer *answer = llhttp->data;

    return answer->status != 0 || rm_buf_append(answer->lines, at, len) == RM_OK ? 0 : -1;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    rm_http_answer *answer = llhttp->data;

    return answer->status != 0 || rm_buf_append_cstr(answer->lines, ": ") == RM_OK ? 0 : -1;
}

/* llhttp must be lenient with values to know folded lines; what could end a line elsewhere is refused all the same. */
static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    return memchr(at, '\r', len) || memchr(at, '\0', len) ? -1 : on_header_field(llhttp, at, len);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    rm_http_answer *answer = llhttp->data;

    return answer->status != 0 || rm_buf_append_char(answer->lines, '\n') == RM_OK ? 0 : -1;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    rm_http_answer *answer = llhttp->data;

    if (llhttp->status_code < 100 || llhttp->status_code == 101) /* nobody asked for another protocol */
        return -1;
    if (llhttp->status_code < 200) {
        rm_buf_clear(answer->lines);
        return 1; /* whatever it says, it has no body (RFC 9110 15.2) */
    }
    llhttp->upgrade = 0;
    answer->status = llhttp->status_code;
    answer->stopped = !answer->events->on_head(answer->user, answer->status);
    if (answer->stopped)
        return -1;
    return answer->no_body ? 1 : 0;
}

/* ---- body -------------------------------------------------------------------------------------------------------- */

/* Where a pause was asked for before this piece it stays with the feeder, who gives it again: `held` of its bytes are
 * behind llhttp by then. */
static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    rm_http_answer *answer = llhttp->data;

    if (len == 0) /* the start of a body that lasts until the connection's end */
        return 0;
    if (answer->pausing) {
        answer->held = len;
        return HPE_PAUSED;
    }
    answer->stopped = !answer->events->on_data(answer->user, rm_slice_make(at, len));
    if (answer->stopped)
        return -1;
    return answer->pausing ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    rm_http_answer *answer = llhttp->data;

    if (answer->status == 0)
        return 0; /* an interim answer; the real one follows */
    answer->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- life -------------------------------------------------------------------------------------------------------- */

rm_http_answer *rm_http_answer_create(const rm_http_answer_events *events)
{
    rm_http_answer *answer = rm_calloc(1, sizeof(*answer));

    if (answer)
        answer->events = events;
    return answer;
}

void rm_http_answer_destroy(rm_http_answer *answer)
{
    rm_free(answer);
}

void rm_http_answer_begin(rm_http_answer *answer, bool no_body, rm_buf *lines, void *user)
{
    *answer = (rm_http_answer){.events = answer->events, .user = user, .lines = lines, .no_body = no_body};
    llhttp_init(&answer->llhttp, HTTP_RESPONSE, &settings);
    llhttp_set_lenient_headers(&answer->llhttp, 1);
    llhttp_set_lenient_optional_cr_before_lf(&answer->llhttp, 1);
    llhttp_set_lenient_spaces_after_chunk_size(&answer->llhttp, 1);
    answer->llhttp.data = answer;
}

/* ---- feed -------------------------------------------------------------------------------------------------------- */

static rm_status status_of(const rm_http_answer *answer, llhttp_errno_t code)
{
    if (answer->stopped)
        return RM_ECANCELLED;
    if (code == HPE_OK || code == HPE_PAUSED)
        return RM_OK;
    if (answer->lines->status != RM_OK)
        return answer->lines->status;
    return RM_EPROTO;
}

/* Gives what a pause held back, unless the pause still holds. */
static rm_status give_held(rm_http_answer *answer, rm_slice bytes, size_t *ret_used)
{
    size_t len = answer->held < bytes.len ? answer->held : bytes.len;

    if (len == 0)
        return RM_OK;
    answer->held -= len;
    *ret_used = len;
    answer->stopped = !answer->events->on_data(answer->user, rm_slice_make(bytes.ptr, len));
    return answer->stopped ? RM_ECANCELLED : RM_OK;
}

rm_status rm_http_answer_feed(rm_http_answer *answer, rm_slice bytes, size_t *ret_used)
{
    size_t given = 0;

    *ret_used = 0;
    answer->pausing = false;
    rm_status status = give_held(answer, bytes, &given);
    *ret_used = given;
    if (status != RM_OK || answer->pausing || answer->held > 0)
        return status;
    const char *at = bytes.len ? bytes.ptr + given : "";
    llhttp_resume(&answer->llhttp);
    llhttp_errno_t code = llhttp_execute(&answer->llhttp, at, bytes.len - given);
    const char *stop = code == HPE_OK ? at + (bytes.len - given) : llhttp_get_error_pos(&answer->llhttp);
    *ret_used = given + (stop ? (size_t)(stop - at) : 0) - answer->held;
    return status_of(answer, code);
}

rm_status rm_http_answer_end(rm_http_answer *answer)
{
    if (answer->complete)
        return RM_OK;
    if (answer->status == 0 || answer->held > 0)
        return RM_ERESET;
    llhttp_resume(&answer->llhttp);
    (void)llhttp_finish(&answer->llhttp); /* calls on_message_complete where the end completes the answer */
    return answer->complete ? RM_OK : RM_ERESET;
}

void rm_http_answer_pause(rm_http_answer *answer)
{
    answer->pausing = true;
}

bool rm_http_answer_complete(const rm_http_answer *answer)
{
    return answer->complete;
}

bool rm_http_answer_keep_alive(const rm_http_answer *answer)
{
    return answer->complete && llhttp_should_keep_alive(&answer->llhttp) != 0;
}
