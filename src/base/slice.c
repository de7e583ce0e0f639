/* Questions about runs of bytes. */
#include "remora/base.h"

static inline unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

bool rm_slice_eq_nocase(rm_slice a, rm_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool rm_slice_has_prefix(rm_slice text, rm_slice prefix)
{
    return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

rm_slice rm_slice_trim(rm_slice text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* An exhausted rest is told from an empty last part by its NULL pointer. */
bool rm_slice_split(rm_slice *rest, char sep, rm_slice *ret_part)
{
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = RM_SLICE_NONE;
        return true;
    }
    size_t len = (size_t)(at - rest->ptr);
    *ret_part = rm_slice_make(rest->ptr, len);
    *rest = rm_slice_make(at + 1, rest->len - len - 1);
    return true;
}

const char *rm_slice_find(rm_slice text, rm_slice needle)
{
    if (needle.len == 0)
        return text.ptr;
    if (text.len < needle.len)
        return NULL;
    return memmem(text.ptr, text.len, needle.ptr, needle.len);
}
