/* Edits of JSON text that leave every other byte alone.
 *
 * The scanner below trusts that the text is JSON only for what it finds, never for where it reads: every step is
 * checked against the end, so any bytes at all are safe. It keeps no stack; the inside of a value is skipped by
 * counting brackets outside strings. */
#include "remora/json.h"

typedef struct scanner {
    const char *text;
    size_t at, len;
} scanner;

static inline void skip_space(scanner *s)
{
    while (s->at < s->len &&
           (s->text[s->at] == ' ' || s->text[s->at] == '\t' || s->text[s->at] == '\n' || s->text[s->at] == '\r'))
        s->at++;
}

static inline bool at_char(const scanner *s, char c)
{
    return s->at < s->len && s->text[s->at] == c;
}

/* Up to the next quote or backslash, or the end; most of a request's bytes are passed here. */
static size_t plain_run(const char *text, size_t at, size_t len)
{
    for (; at + 8 <= len; at += 8) {
        uint64_t word = rm_word_load(text + at);
        if (rm_word_has(word, '"') | rm_word_has(word, '\\'))
            break;
    }
    while (at < len && text[at] != '"' && text[at] != '\\')
        at++;
    return at;
}

/* Past the closing quote of the string that begins here. */
static bool skip_string(scanner *s)
{
    if (!at_char(s, '"'))
        return false;
    for (size_t at = plain_run(s->text, s->at + 1, s->len); at < s->len;) {
        if (s->text[at] == '"') {
            s->at = at + 1;
            return true;
        }
        if (s->len - at < 2)
            return false;
        at = plain_run(s->text, at + 2, s->len);
    }
    return false;
}

static bool skip_container(scanner *s)
{
    size_t open = 0;
    while (s->at < s->len) {
        switch (s->text[s->at]) {
        case '"':
            if (!skip_string(s))
                return false;
            continue;
        case '{':
        case '[':
            open++;
            break;
        case '}':
        case ']':
            if (--open == 0) {
                s->at++;
                return true;
            }
            break;
        default:
            break;
        }
        s->at++;
    }
    return false;
}

/* Letters, digits, signs and points up to what may follow a value. */
static bool skip_plain(scanner *s)
{
    size_t begin = s->at;
    while (s->at < s->len && !strchr(",]}: \t\r\n\"[{", s->text[s->at]))
        s->at++;
    return s->at > begin;
}

static bool skip_value(scanner *s)
{
    if (s->at == s->len)
        return false;
    switch (s->text[s->at]) {
    case '"':
        return skip_string(s);
    case '{':
    case '[':
        return skip_container(s);
    default:
        return skip_plain(s);
    }
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static bool read_hex4(const char *text, size_t room, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (room < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = text[i], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            unit = unit << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            unit = unit << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    *ret_unit = unit;
    return true;
}

/* `at` stands behind "\u". Gives the UTF-8 length, 0 where it is no character. */
static size_t decode_unicode(rm_slice raw, size_t *at, char utf8[4])
{
    uint32_t c, low;
    if (!read_hex4(raw.ptr + *at, raw.len - *at, &c))
        return 0;
    *at += 4;
    if (c >= 0xdc00 && c < 0xe000)
        return 0;
    if (c >= 0xd800 && c < 0xdc00) {
        if (raw.len - *at < 6 || raw.ptr[*at] != '\\' || raw.ptr[*at + 1] != 'u' ||
            !read_hex4(raw.ptr + *at + 2, 4, &low) || low < 0xdc00 || low >= 0xe000)
            return 0;
        *at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c < 0x80) {
        utf8[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        utf8[i] = (char)(0x80 | (c & 0x3f));
    utf8[0] = (char)(leads[len] | c);
    return len;
}

/* One character of a raw string, escaped or not, as UTF-8; 0 where the escape is wrong. */
static size_t decode_one(rm_slice raw, size_t *at, char utf8[4])
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (raw.ptr[*at] != '\\') {
        utf8[0] = raw.ptr[(*at)++];
        return 1;
    }
    if (++*at == raw.len)
        return 0;
    char c = raw.ptr[(*at)++];
    if (c == 'u')
        return decode_unicode(raw, at, utf8);
    const char *found = c ? strchr(plain, c) : NULL;
    if (!found)
        return 0;
    utf8[0] = meant[found - plain];
    return 1;
}

/* `raw` is what stands between the key's quotes. */
static bool key_is(rm_slice raw, rm_slice name)
{
    if (raw.len == 0 || !memchr(raw.ptr, '\\', raw.len))
        return rm_slice_eq(raw, name);
    size_t at = 0, matched = 0;
    while (at < raw.len) {
        char utf8[4];
        size_t len = decode_one(raw, &at, utf8);
        if (len == 0 || len > name.len - matched || memcmp(utf8, name.ptr + matched, len) != 0)
            return false;
        matched += len;
    }
    return matched == name.len;
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

/* Inside the brace that opens an object. */
static bool enter_object(scanner *s)
{
    skip_space(s);
    if (!at_char(s, '{'))
        return false;
    s->at++;
    return true;
}

/* One member, from before its key to behind its value. RM_ENOTFOUND at the closing brace, which is not passed. */
static rm_status next_member(scanner *s, rm_json_span *ret_span, rm_slice *ret_key)
{
    rm_json_span span;
    skip_space(s);
    if (at_char(s, '}'))
        return RM_ENOTFOUND;
    span.member_begin = s->at;
    if (!skip_string(s))
        return RM_EPARSE;
    *ret_key = rm_slice_make(s->text + span.member_begin + 1, s->at - span.member_begin - 2);
    skip_space(s);
    if (!at_char(s, ':'))
        return RM_EPARSE;
    s->at++;
    skip_space(s);
    span.value_begin = s->at;
    if (!skip_value(s))
        return RM_EPARSE;
    span.value_end = span.member_end = s->at;
    *ret_span = span;
    return RM_OK;
}

/* Behind a member: past the comma if there is one, else in front of the closing brace. */
static bool pass_comma(scanner *s)
{
    skip_space(s);
    if (at_char(s, ',')) {
        s->at++;
        skip_space(s);
        return at_char(s, '"');
    }
    return at_char(s, '}');
}

/* How far a path could be followed. */
typedef struct place {
    rm_json_span span; /* of the last member found; valid if `found` */
    bool found;        /* at least one member of the path */
    rm_slice missing;  /* the name that is not there, and the names below it; ptr NULL if all are */
    size_t open;       /* behind the brace of the object that misses it */
    size_t last_end;   /* behind that object's last member; `open` where it has none */
} place;

static rm_status find_in_object(scanner *s, rm_slice name, place *p)
{
    rm_slice key;
    rm_json_span span;
    p->open = p->last_end = s->at;
    for (;;) {
        rm_status status = next_member(s, &span, &key);
        if (status != RM_OK)
            return status;
        if (key_is(key, name)) {
            p->span = span;
            p->found = true;
            return RM_OK;
        }
        p->last_end = s->at;
        if (!pass_comma(s))
            return RM_EPARSE;
    }
}

/* RM_OK: all of the path is there. RM_ENOTFOUND: `missing` is not. RM_EPARSE: no JSON, or no object where one must
 * be, in which case `missing` names what should have been inside it. */
static rm_status follow(rm_slice text, const char *path, place *p)
{
    scanner s = {text.ptr, 0, text.len};
    rm_slice rest = rm_slice_cstr(path), name;
    *p = (place){.missing = rest};
    for (;;) {
        p->missing = rest;
        if (!rm_slice_split(&rest, '/', &name)) {
            p->missing = RM_SLICE_NONE;
            return RM_OK;
        }
        if (p->found)
            s = (scanner){text.ptr, p->span.value_begin, p->span.value_end};
        if (!enter_object(&s))
            return RM_EPARSE;
        rm_status status = find_in_object(&s, name, p);
        if (status != RM_OK)
            return status;
    }
}

rm_status rm_json_find_span(rm_slice text, const char *path, rm_json_span *ret_span)
{
    place p;
    rm_status status = follow(text, path, &p);
    if (status == RM_OK)
        *ret_span = p.span;
    return status;
}

static rm_slice part(rm_slice text, size_t begin, size_t end)
{
    return rm_slice_make(text.ptr + begin, end - begin);
}

/* The object is a run of chunks between commas, each a member with the white space around it: those that stay are
 * joined again. */
rm_status rm_json_remove_member(rm_slice text, const char *name, rm_buf *out)
{
    scanner s = {text.ptr, 0, text.len};
    rm_slice wanted = rm_slice_cstr(name), key;
    rm_json_span span;
    size_t begin_len = out->len;
    bool any = false;
    if (!enter_object(&s))
        return RM_EPARSE;
    size_t chunk = s.at;
    rm_buf_append_slice(out, part(text, 0, chunk));
    rm_status status;
    while ((status = next_member(&s, &span, &key)) == RM_OK) {
        bool more;
        skip_space(&s);
        size_t chunk_end = s.at;
        if (!pass_comma(&s)) {
            status = RM_EPARSE;
            break;
        }
        more = text.ptr[chunk_end] == ',';
        if (!key_is(key, wanted)) {
            if (any)
                rm_buf_append_char(out, ',');
            rm_buf_append_slice(out, part(text, chunk, chunk_end));
            any = true;
        }
        chunk = more ? chunk_end + 1 : chunk_end;
    }
    if (status != RM_ENOTFOUND) {
        out->len = begin_len;
        return status;
    }
    return rm_buf_append_slice(out, part(text, chunk, text.len));
}

/* ---- setting ----------------------------------------------------------------------------------------------------- */

/* {"b":{"c":VALUE}} for the names b/c; without the outermost braces where `bare`. */
static void append_nested(rm_buf *out, rm_slice names, rm_slice value, bool bare)
{
    rm_slice name;
    size_t open = 0;
    while (rm_slice_split(&names, '/', &name)) {
        if (!bare || open)
            rm_buf_append_char(out, '{');
        open++;
        rm_buf_append_char(out, '"');
        rm_buf_append_json_escaped(out, name);
        rm_buf_append_slice(out, RM_SLICE("\":"));
    }
    rm_buf_append_slice(out, value);
    for (size_t i = bare ? 1 : 0; i < open; i++)
        rm_buf_append_char(out, '}');
}

static bool is_null_at(rm_slice text, const rm_json_span *span)
{
    return rm_slice_eq(part(text, span->value_begin, span->value_end), RM_SLICE("null"));
}

rm_status rm_json_set_member(rm_slice text, const char *path, rm_slice value, rm_buf *out)
{
    place p;
    rm_status status = follow(text, path, &p);
    size_t cut_begin, cut_end;
    bool whole = status == RM_OK;
    bool replace_null = status == RM_EPARSE && p.found && is_null_at(text, &p.span);
    if (whole || replace_null) {
        cut_begin = p.span.value_begin;
        cut_end = p.span.value_end;
    } else if (status == RM_ENOTFOUND) {
        cut_begin = cut_end = p.last_end;
    } else {
        return status;
    }
    rm_buf_append_slice(out, part(text, 0, cut_begin));
    if (status == RM_ENOTFOUND && p.last_end != p.open)
        rm_buf_append_char(out, ',');
    append_nested(out, p.missing, value, status == RM_ENOTFOUND);
    return rm_buf_append_slice(out, part(text, cut_end, text.len));
}
