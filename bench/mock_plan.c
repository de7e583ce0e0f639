/* How an answer shall behave. One table names the settings; the command line, x-mock-* headers, `metadata.mock` in the
 * body and a suffix of the model's name ("gpt-4.1-mini@ttft=5ms,status=429") all go through it. */
#include "mock_internal.h"

typedef enum setting_kind {
    SETTING_NUMBER,
    SETTING_DOUBLE,
    SETTING_MS,
    SETTING_FLAG,
    SETTING_FAULT,
    SETTING_TEXT
} setting_kind;

typedef struct mock_setting {
    const char *name;
    setting_kind kind;
    size_t offset;
    const char *help;
} mock_setting;

#define SETTING(name, kind, field, help)                          \
    {                                                             \
        name, SETTING_##kind, offsetof(rm_mock_plan, field), help \
    }
static const mock_setting settings[] = {
    SETTING("ttft", MS, ttft_ms, "time to the first byte"),
    SETTING("tps", DOUBLE, tps, "events a second; 0: all at once"),
    SETTING("jitter", DOUBLE, jitter, "share by which each gap varies"),
    SETTING("tokens", NUMBER, tokens, "length of an answer"),
    SETTING("reasoning", NUMBER, reasoning, "reasoning tokens before the answer"),
    SETTING("cached", NUMBER, cached, "usage.prompt_tokens_details.cached_tokens"),
    SETTING("tool-calls", NUMBER, tool_calls, "parallel calls where a tool is called"),
    SETTING("refusal", FLAG, refusal, "answer with a refusal"),
    SETTING("unicode", FLAG, unicode, "words beyond ASCII"),
    SETTING("obfuscation", FLAG, obfuscation, "random padding in chunks"),
    SETTING("status", NUMBER, status, "answer with this error"),
    SETTING("times", NUMBER, times, "... the first N times that `key` is seen (faults likewise)"),
    SETTING("key", TEXT, key, "name of that count"),
    SETTING("retry-after", NUMBER, retry_after, "header of an error, seconds"),
    SETTING("retry-after-ms", NUMBER, retry_after_ms, "header of an error"),
    SETTING("should-retry", FLAG, should_retry, "x-should-retry of an error"),
    SETTING("fault", FAULT, fault, "reset-head, reset, stall, malformed, error, truncate"),
    SETTING("at", NUMBER, fault_at, "... before this event (the middle one)"),
    SETTING("burst", NUMBER, burst, "events in one write"),
    SETTING("split", NUMBER, split, "write pieces of N bytes"),
    SETTING("split-gap", MS, split_gap_ms, "... with this pause between them (1ms)"),
    SETTING("body-bytes", NUMBER, body_bytes, "length of the answer's text; of a download on unknown paths"),
    SETTING("chunked", FLAG, chunked, "a JSON answer without Content-Length"),
    SETTING("gzip", FLAG, gzip, "Content-Encoding: gzip"),
    SETTING("headers", FLAG, headers, "x-ratelimit-* and anthropic-ratelimit-* on each answer"),
    SETTING("echo", FLAG, echo, "answer with the received request: headers and body in base64"),
};

static const char *const fault_names[] = {"none", "reset-head", "reset", "stall", "malformed", "error", "truncate"};

static rm_status parse_flag(rm_slice value, uint64_t *ret_flag)
{
    bool on = value.len == 0 || rm_slice_eq_nocase(value, RM_SLICE("true")) || rm_slice_eq(value, RM_SLICE("1"));
    if (!on && !rm_slice_eq_nocase(value, RM_SLICE("false")) && !rm_slice_eq(value, RM_SLICE("0")))
        return RM_EPARSE;
    *ret_flag = on;
    return RM_OK;
}

static rm_status parse_fault(rm_slice value, uint64_t *ret_fault)
{
    for (size_t i = 0; i < RM_COUNT(fault_names); i++) {
        if (rm_slice_eq(value, rm_slice_cstr(fault_names[i]))) {
            *ret_fault = i;
            return RM_OK;
        }
    }
    return RM_EPARSE;
}

static rm_status parse_ms(rm_slice value, double *ret_ms)
{
    uint64_t us;
    rm_status status = rm_parse_duration_us(value, false, &us);
    if (status == RM_OK)
        *ret_ms = (double)us / 1e3;
    return status;
}

rm_status rm_mock__plan_set(rm_mock_plan *plan, rm_slice name, rm_slice value)
{
    for (size_t i = 0; i < RM_COUNT(settings); i++) {
        if (!rm_slice_eq_nocase(name, rm_slice_cstr(settings[i].name)))
            continue;
        void *target = (char *)plan + settings[i].offset;
        switch (settings[i].kind) {
        case SETTING_NUMBER:
            return rm_parse_u64(value, target);
        case SETTING_DOUBLE:
            return rm_parse_double(value, target);
        case SETTING_MS:
            return parse_ms(value, target);
        case SETTING_FLAG:
            return parse_flag(value, target);
        case SETTING_FAULT:
            return parse_fault(value, target);
        case SETTING_TEXT:
            *(rm_slice *)target = value;
            return RM_OK;
        }
    }
    return RM_ENOTFOUND;
}

void rm_mock__plan_set_list(rm_mock_plan *plan, rm_slice list)
{
    rm_slice item;
    while (rm_slice_split(&list, ',', &item)) {
        const char *equals = item.len ? memchr(item.ptr, '=', item.len) : NULL;
        size_t name_len = equals ? (size_t)(equals - item.ptr) : item.len;
        rm_slice value = equals ? rm_slice_make(equals + 1, item.len - name_len - 1) : RM_SLICE("");
        (void)rm_mock__plan_set(plan, rm_slice_trim(rm_slice_make(item.ptr, name_len)), rm_slice_trim(value));
    }
}

void rm_mock__plan_set_headers(rm_mock_plan *plan, const rm_http_head *head)
{
    const rm_slice prefix = RM_SLICE("x-mock-");
    for (size_t i = 0; i < head->header_count; i++) {
        const rm_header *header = &head->headers[i];
        if (header->name.len > prefix.len && rm_slice_eq_nocase(rm_slice_make(header->name.ptr, prefix.len), prefix))
            (void)rm_mock__plan_set(plan, rm_slice_make(header->name.ptr + prefix.len, header->name.len - prefix.len),
                                    header->value);
    }
}

void rm_mock__plan_set_body(rm_mock_plan *plan, const rm_json *root)
{
    const rm_json *mock = rm_json_get(rm_json_get(root, "metadata"), "mock");
    if (rm_json_typeof(mock) == RM_JSON_STRING)
        rm_mock__plan_set_list(plan, rm_json_string(mock));
    if (rm_json_typeof(mock) == RM_JSON_OBJECT) {
        for (rm_json_iter it = rm_json_iterate(mock); rm_json_iter_next(&it);) {
            rm_slice value = rm_json_string(it.value);
            if (rm_json_typeof(it.value) == RM_JSON_NUMBER)
                value = rm_json_number_text(it.value);
            else if (rm_json_typeof(it.value) == RM_JSON_BOOL)
                value = rm_json_bool(it.value, false) ? RM_SLICE("true") : RM_SLICE("false");
            (void)rm_mock__plan_set(plan, it.key, value);
        }
    }
    rm_slice model = rm_json_string(rm_json_get(root, "model"));
    const char *at = model.len ? memchr(model.ptr, '@', model.len) : NULL;
    if (at)
        rm_mock__plan_set_list(plan, rm_slice_make(at + 1, model.len - (size_t)(at - model.ptr) - 1));
}

void rm_mock__plan_print(FILE *out)
{
    for (size_t i = 0; i < RM_COUNT(settings); i++)
        fprintf(out, "  %-16s %s\n", settings[i].name, settings[i].help);
}
