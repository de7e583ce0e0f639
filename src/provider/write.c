/* JSON text out of parsed values. */
#include "provider_internal.h"

static void put_value(const rm_json *value, unsigned depth, rm_buf *out);

static void put_container(const rm_json *value, bool object, unsigned depth, rm_buf *out)
{
    bool first = true;
    rm_buf_append_char(out, object ? '{' : '[');
    for (rm_json_iter it = rm_json_iterate(value); rm_json_iter_next(&it); first = false) {
        if (!first)
            rm_buf_append_char(out, ',');
        if (object) {
            rm_provider__put_string(it.key, out);
            rm_buf_append_char(out, ':');
        }
        put_value(it.value, depth + 1, out);
    }
    rm_buf_append_char(out, object ? '}' : ']');
}

static void put_value(const rm_json *value, unsigned depth, rm_buf *out)
{
    if (depth > RM_JSON_DEPTH_MAX && out->status == RM_OK)
        out->status = RM_EPARSE;
    if (out->status != RM_OK)
        return;
    switch (rm_json_typeof(value)) {
    case RM_JSON_STRING:
        rm_provider__put_string(rm_json_string(value), out);
        break;
    case RM_JSON_NUMBER:
        rm_buf_append_slice(out, rm_json_number_text(value));
        break;
    case RM_JSON_BOOL:
        rm_buf_append_cstr(out, rm_json_bool(value, false) ? "true" : "false");
        break;
    case RM_JSON_ARRAY:
        put_container(value, false, depth, out);
        break;
    case RM_JSON_OBJECT:
        put_container(value, true, depth, out);
        break;
    case RM_JSON_ABSENT:
    case RM_JSON_NULL:
        rm_buf_append_cstr(out, "null");
        break;
    }
}

rm_status rm_provider__put_value(const rm_json *value, rm_buf *out)
{
    put_value(value, 0, out);
    return out->status;
}

void rm_provider__put_string(rm_slice text, rm_buf *out)
{
    rm_buf_append_char(out, '"');
    rm_buf_append_json_escaped(out, text);
    rm_buf_append_char(out, '"');
}

void rm_provider__put_key(rm_slice key, rm_buf *out)
{
    if (out->len && out->ptr[out->len - 1] != '{')
        rm_buf_append_char(out, ',');
    rm_provider__put_string(key, out);
    rm_buf_append_char(out, ':');
}

void rm_provider__put_member(rm_slice key, const rm_json *value, rm_buf *out)
{
    rm_provider__put_key(key, out);
    rm_provider__put_value(value, out);
}

void rm_provider__put_member_string(rm_slice key, rm_slice text, rm_buf *out)
{
    rm_provider__put_key(key, out);
    rm_provider__put_string(text, out);
}

void rm_provider__put_member_i64(rm_slice key, int64_t number, rm_buf *out)
{
    rm_provider__put_key(key, out);
    rm_buf_append_i64(out, number);
}
