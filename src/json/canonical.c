/* The one spelling of a JSON value that the exact cache hashes and compares.
 *
 * Objects are sorted on a stack of members shared by all depths: an object pushes its members, sorts them where they
 * lie, writes them one by one (deeper objects push above) and pops. It is addressed by index, for it may move. Keys
 * carry their first eight bytes as a number, so that most comparisons touch no text. */
#include "json_internal.h"

#define MEMBERS_INLINE    48 /* most requests need no heap at all */
#define INSERTION_MAX     24
#define MEMBERS_STACK_MAX ((size_t)1 << 27)

typedef struct member {
    uint64_t prefix; /* the key's first bytes, big-endian, padded with zeros */
    const char *key;
    size_t key_len;
    yyjson_val *value;
} member;

typedef struct canon {
    rm_buf *out;
    member *members;
    size_t count, cap;
    unsigned depth;
    yyjson_val *hole; /* NULL: none */
    rm_json_skip_fn skip;
    void *user;
    member first[MEMBERS_INLINE];
} canon;

static rm_status write_value(canon *c, yyjson_val *val);

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static inline size_t plain_run(const char *text, size_t at, size_t len)
{
    for (; at + 8 <= len; at += 8) {
        uint64_t word = rm_word_load(text + at);
        if (rm_word_below(word, 0x20) | rm_word_has(word, '"') | rm_word_has(word, '\\'))
            break;
    }
    while (at < len && (unsigned char)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\')
        at++;
    return at;
}

static void write_escape(rm_buf *out, unsigned char ch)
{
    static const char shorts[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[ch >> 4], hex[ch & 15]};
    size_t len = 6;
    if (ch >= 0x20 || shorts[ch]) {
        text[1] = ch >= 0x20 ? (char)ch : shorts[ch];
        len = 2;
    }
    rm_buf_append(out, text, len);
}

static rm_status write_string(rm_buf *out, const char *text, size_t len)
{
    /* Room for the string without escapes and for both quotes, asked once. */
    rm_status status = rm_buf_reserve(out, len + 2);
    if (status != RM_OK)
        return status;
    out->ptr[out->len++] = '"';
    for (size_t at = 0;;) {
        size_t end = plain_run(text, at, len);
        rm_buf_append(out, text + at, end - at);
        if (end == len)
            break;
        write_escape(out, (unsigned char)text[end]);
        at = end + 1;
    }
    return rm_buf_append_char(out, '"');
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Digits without zeros at their ends, then the power of ten they stand for: 1500 is 15e2, 1.50 is 15e-1. */
static rm_status write_number(rm_buf *out, const char *text, size_t len)
{
    rm_json__decimal decimal;
    rm_status status = rm_json__decimal_read(rm_slice_make(text, len), &decimal);
    if (status != RM_OK)
        return status;
    if (decimal.first.len == 0 && decimal.second.len == 0)
        return rm_buf_append_char(out, '0');
    if (decimal.negative)
        rm_buf_append_char(out, '-');
    rm_buf_append_slice(out, decimal.first);
    rm_buf_append_slice(out, decimal.second);
    if (decimal.exponent) {
        rm_buf_append_char(out, 'e');
        rm_buf_append_i64(out, decimal.exponent);
    }
    return out->status;
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static inline uint64_t prefix_of(const char *key, size_t len)
{
    uint64_t prefix = 0;
    if (len >= 8) {
        memcpy(&prefix, key, 8);
        return __builtin_bswap64(prefix);
    }
    for (size_t i = 0; i < len; i++)
        prefix |= (uint64_t)(unsigned char)key[i] << (56 - 8 * i);
    return prefix;
}

static inline int compare(const member *a, const member *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, len);
    if (order)
        return order;
    return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static void sort_few(member *members, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        member moving = members[i];
        size_t j = i;
        for (; j > 0 && compare(&moving, &members[j - 1]) < 0; j--)
            members[j] = members[j - 1];
        members[j] = moving;
    }
}

static void sift_down(member *members, size_t at, size_t count)
{
    member moving = members[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(&members[child], &members[child + 1]) < 0)
            child++;
        if (compare(&moving, &members[child]) >= 0)
            break;
        members[at] = members[child];
    }
    members[at] = moving;
}

/* Heapsort where there are many: no order of keys that a caller may send makes it quadratic, and it needs no room. */
static void sort_members(member *members, size_t count)
{
    if (count <= INSERTION_MAX) {
        sort_few(members, count);
        return;
    }
    for (size_t i = count / 2; i-- > 0;)
        sift_down(members, i, count);
    for (size_t end = count - 1; end > 0; end--) {
        member largest = members[0];
        members[0] = members[end];
        members[end] = largest;
        sift_down(members, 0, end);
    }
}

static rm_status reserve_members(canon *c, size_t more)
{
    if (more <= c->cap - c->count)
        return RM_OK;
    size_t cap = c->cap * 2;
    if (more > MEMBERS_STACK_MAX - c->count)
        return RM_ETOOBIG;
    if (cap < c->count + more)
        cap = c->count + more;
    bool moved = c->members != c->first;
    member *members = rm_realloc(moved ? c->members : NULL, cap * sizeof(*members));
    if (!members)
        return RM_ENOMEM;
    if (!moved)
        memcpy(members, c->first, c->count * sizeof(*members));
    c->members = members;
    c->cap = cap;
    return RM_OK;
}

/* Leaves the members on the stack, sorted; RM_EPARSE where two have one name. */
static rm_status push_members(canon *c, yyjson_val *object)
{
    size_t count = unsafe_yyjson_get_len(object);
    rm_status status = reserve_members(c, count);
    if (status != RM_OK)
        return status;
    member *members = c->members + c->count;
    yyjson_val *key = count ? unsafe_yyjson_get_first(object) : NULL;
    for (size_t i = 0; i < count; i++) {
        const char *text = unsafe_yyjson_get_str(key);
        size_t len = unsafe_yyjson_get_len(key);
        members[i] = (member){prefix_of(text, len), text, len, key + 1};
        key = unsafe_yyjson_get_next(key + 1);
    }
    sort_members(members, count);
    for (size_t i = 1; i < count; i++) {
        if (compare(&members[i - 1], &members[i]) == 0)
            return RM_EPARSE;
    }
    c->count += count;
    return RM_OK;
}

static rm_status write_object(canon *c, yyjson_val *object)
{
    size_t base = c->count, count = unsafe_yyjson_get_len(object);
    rm_status status = push_members(c, object);
    if (status != RM_OK)
        return status;
    rm_json_skip_fn skip = c->depth == 1 ? c->skip : NULL;
    bool any = false;
    rm_buf_append_char(c->out, '{');
    for (size_t i = 0; i < count && status == RM_OK; i++) {
        member m = c->members[base + i];
        size_t begin = c->out->len;
        if (any)
            rm_buf_append_char(c->out, ',');
        write_string(c->out, m.key, m.key_len);
        rm_buf_append_char(c->out, ':');
        status = write_value(c, m.value);
        /* What is skipped is written all the same and then taken back: it may hide a doubled key. */
        if (status == RM_OK && skip && skip(rm_slice_make(m.key, m.key_len), rm_json__wrap(m.value), c->user))
            c->out->len = begin;
        else
            any = true;
    }
    c->count = base;
    return status == RM_OK ? rm_buf_append_char(c->out, '}') : status;
}

static rm_status write_array(canon *c, yyjson_val *array)
{
    size_t count = unsafe_yyjson_get_len(array);
    yyjson_val *val = count ? unsafe_yyjson_get_first(array) : NULL;
    rm_status status = rm_buf_append_char(c->out, '[');
    for (size_t i = 0; i < count && status == RM_OK; i++) {
        if (i)
            rm_buf_append_char(c->out, ',');
        status = write_value(c, val);
        val = unsafe_yyjson_get_next(val);
    }
    return status == RM_OK ? rm_buf_append_char(c->out, ']') : status;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static rm_status write_container(canon *c, yyjson_val *val)
{
    if (c->depth == RM_JSON_DEPTH_MAX)
        return RM_ETOOBIG;
    c->depth++;
    rm_status status = unsafe_yyjson_is_obj(val) ? write_object(c, val) : write_array(c, val);
    c->depth--;
    return status;
}

static rm_status write_value(canon *c, yyjson_val *val)
{
    switch (unsafe_yyjson_get_type(val)) {
    case YYJSON_TYPE_STR:
        if (val == c->hole)
            return rm_buf_append_char(c->out, RM_JSON_HOLE);
        return write_string(c->out, unsafe_yyjson_get_str(val), unsafe_yyjson_get_len(val));
    case YYJSON_TYPE_RAW:
        return write_number(c->out, unsafe_yyjson_get_raw(val), unsafe_yyjson_get_len(val));
    case YYJSON_TYPE_BOOL:
        return rm_buf_append_slice(c->out, unsafe_yyjson_get_bool(val) ? RM_SLICE("true") : RM_SLICE("false"));
    case YYJSON_TYPE_NULL:
        return rm_buf_append_slice(c->out, RM_SLICE("null"));
    case YYJSON_TYPE_ARR:
    case YYJSON_TYPE_OBJ:
        return write_container(c, val);
    default:
        return RM_EINVAL;
    }
}

rm_status rm_json_canonical(const rm_json *value, rm_json_skip_fn skip, void *user, rm_buf *out)
{
    return rm_json_canonical_without(value, NULL, skip, user, out);
}

rm_status rm_json_canonical_without(const rm_json *value, const rm_json *string, rm_json_skip_fn skip, void *user,
                                    rm_buf *out)
{
    if (!value)
        return RM_EINVAL;
    canon c; /* not zeroed as a whole: its first members are large and need not be */
    size_t begin = out->len;
    c.out = out;
    c.members = c.first;
    c.count = 0;
    c.cap = MEMBERS_INLINE;
    c.depth = 0;
    c.hole = rm_json__val(string);
    c.skip = skip;
    c.user = user;
    rm_status status = write_value(&c, rm_json__val(value));
    if (c.members != c.first)
        rm_free(c.members);
    status = status == RM_OK ? out->status : status;
    if (status != RM_OK)
        out->len = begin;
    return status;
}
