/* L1: reading JSON that others wrote, the canonical form that the exact cache compares, and edits of the raw text
 * that leave every other byte alone. The JSON library stays behind this header (and in provider).
 * One thread an object. */
#ifndef REMORA_JSON_H
#define REMORA_JSON_H

#include "remora/base.h"

/* A parsed document. Its memory comes from the arena and goes with it; it keeps pointers into no caller memory. */
typedef struct rm_json_doc rm_json_doc;
/* A value of a document; NULL is "absent" and every accessor takes it. */
typedef struct rm_json rm_json;

typedef enum rm_json_type {
    RM_JSON_ABSENT = 0,
    RM_JSON_NULL,
    RM_JSON_BOOL,
    RM_JSON_NUMBER,
    RM_JSON_STRING,
    RM_JSON_ARRAY,
    RM_JSON_OBJECT
} rm_json_type;

/* Strict RFC 8259 (UTF-8 checked, nothing after the value). Numbers keep their spelling. RM_EPARSE, RM_ENOMEM. */
rm_status rm_json_parse(rm_arena *arena, rm_slice text, const rm_json **ret_root) RM_WARN_UNUSED;

rm_json_type rm_json_typeof(const rm_json *value);
const rm_json *rm_json_get(const rm_json *object, const char *name); /* the first of that name; NULL if none */
const rm_json *rm_json_at(const rm_json *array, size_t index);
size_t rm_json_count(const rm_json *container); /* members or elements; 0 for others */
rm_slice rm_json_string(const rm_json *value);  /* {NULL,0} unless a string */
bool rm_json_bool(const rm_json *value, bool otherwise);
int64_t rm_json_i64(const rm_json *value, int64_t otherwise); /* an integer in range, by value: 1e2 is 100 */
double rm_json_double(const rm_json *value, double otherwise);
rm_slice rm_json_number_text(const rm_json *value);

/* for (rm_json_iter it = rm_json_iterate(v); rm_json_iter_next(&it);) uses it.key (objects) and it.value. */
typedef struct rm_json_iter {
    const rm_json *container;
    const rm_json *value;
    rm_slice key;
    size_t index;
    const void *cursor;
} rm_json_iter;
rm_json_iter rm_json_iterate(const rm_json *container);
bool rm_json_iter_next(rm_json_iter *iter);

/* ---- canonical form ---------------------------------------------------------------------------------------------- */

/* Appends the value with object keys sorted by bytes, no white space, strings in one shortest spelling of their UTF-8
 * bytes (never normalised), numbers by exact decimal value (1, 1.0 and 10e-1 are one spelling; -0 is 0). Top-level
 * members for which `skip` says true are left out (skip may be NULL); they are checked like all others.
 * RM_EPARSE: a doubled key at any depth. RM_ETOOBIG: deeper than RM_JSON_DEPTH_MAX, an exponent over
 * RM_JSON_EXPONENT_DIGITS_MAX, or over the buffer's maximum. RM_ENOMEM. A failure appends nothing. */
typedef bool (*rm_json_skip_fn)(rm_slice key, const rm_json *value, void *user);
rm_status rm_json_canonical(const rm_json *value, rm_json_skip_fn skip, void *user, rm_buf *out) RM_WARN_UNUSED;

/* The same with RM_JSON_HOLE in the place of one string value somewhere in it, whatever its text; NULL: of none. No JSON
 * text has that character outside of a string, so that nothing a caller sends makes the same bytes. */
#define RM_JSON_HOLE '?'
rm_status rm_json_canonical_without(const rm_json *value, const rm_json *string, rm_json_skip_fn skip, void *user,
                                    rm_buf *out) RM_WARN_UNUSED;

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

/* Appends "[0.1,-2.5e-9]": of each number the shortest text that reads back as the same float. RM_EINVAL: one is not
 * finite. RM_ENOMEM, RM_ETOOBIG. */
rm_status rm_json_append_floats(const float *numbers, size_t count, rm_buf *out);

/* ---- raw text ---------------------------------------------------------------------------------------------------- */

/* Where a member of an object stands in its text; offsets into the text that was given. */
typedef struct rm_json_span {
    size_t member_begin, member_end; /* from the key's quote to the value's end */
    size_t value_begin, value_end;
} rm_json_span;

/* Finds the member `name` of the object whose text (valid JSON, white space around allowed) is given, following
 * `path`, names separated by '/' ("response/usage"). RM_ENOTFOUND, RM_EPARSE (not an object, not JSON). Keys that are
 * spelt with escapes are understood. The first of doubled keys. */
rm_status rm_json_find_span(rm_slice text, const char *path, rm_json_span *ret_span) RM_WARN_UNUSED;

/* Appends `text` without the top-level member (and one comma and the white space around it); a doubled one goes
 * wholly; unchanged if there is none. RM_EPARSE (not an object, not JSON; nothing is appended), RM_ENOMEM,
 * RM_ETOOBIG. */
rm_status rm_json_remove_member(rm_slice text, const char *name, rm_buf *out) RM_WARN_UNUSED;

/* Appends `text` with the member at `path` set to the raw JSON `value`: replaced where it stands, else added as the
 * last member of the innermost object that exists; missing objects on the path are made, also where a null stands.
 * All else keeps its bytes. RM_EPARSE (not JSON, or no object where the path wants one; nothing is appended),
 * RM_ENOMEM, RM_ETOOBIG. */
rm_status rm_json_set_member(rm_slice text, const char *path, rm_slice value, rm_buf *out) RM_WARN_UNUSED;

#endif
