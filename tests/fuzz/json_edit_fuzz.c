/* Any bytes: edits never read outside them, and where they are JSON the edit of the text is the edit of its meaning.
 * The member is the input's first one, or "a". */
#include <stdint.h>

#include "remora/json.h"

#define OUT_MAX RM_MIB

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_named(rm_slice key, const rm_json *value, void *user)
{
    (void)value;
    return rm_slice_eq(key, rm_slice_cstr(user));
}

/* Canonical form without the member; the root is kept for the caller to look into. */
static rm_status without(rm_arena *arena, rm_slice text, char *name, const rm_json **ret_root, rm_buf *out)
{
    rm_status status = rm_json_parse(arena, text, ret_root);
    return status == RM_OK ? rm_json_canonical(*ret_root, is_named, name, out) : status;
}

static void check_same_rest(rm_arena *arena, rm_slice edited, char *name, const rm_buf *rest, const rm_json **ret_root)
{
    rm_buf out;
    rm_buf_init(&out, OUT_MAX);
    RM_CHECK(without(arena, edited, name, ret_root, &out) == RM_OK);
    RM_CHECK(rm_slice_eq(rm_buf_slice(&out), rm_buf_slice(rest)));
    rm_buf_deinit(&out);
}

static void check_edits(rm_arena *arena, rm_slice text, char *name, const rm_buf *rest)
{
    const rm_json *root;
    rm_buf edited;
    rm_json_span span;
    rm_buf_init(&edited, OUT_MAX);
    RM_CHECK(rm_json_remove_member(text, name, &edited) == RM_OK);
    check_same_rest(arena, rm_buf_slice(&edited), name, rest, &root);
    RM_CHECK(rm_json_get(root, name) == NULL);
    RM_CHECK(rm_json_find_span(rm_buf_slice(&edited), name, &span) == RM_ENOTFOUND);

    rm_buf_clear(&edited);
    RM_CHECK(rm_json_set_member(text, name, RM_SLICE("[17]"), &edited) == RM_OK);
    check_same_rest(arena, rm_buf_slice(&edited), name, rest, &root);
    RM_CHECK(rm_json_i64(rm_json_at(rm_json_get(root, name), 0), 0) == 17);
    RM_CHECK(rm_json_find_span(rm_buf_slice(&edited), name, &span) == RM_OK);
    RM_CHECK(
        rm_slice_eq(rm_slice_make(edited.ptr + span.value_begin, span.value_end - span.value_begin), RM_SLICE("[17]")));
    rm_buf_deinit(&edited);
}

static void check_deep_edit(rm_arena *arena, rm_slice text, const char *name)
{
    const rm_json *root;
    rm_buf edited;
    rm_slice path = rm_arena_printf(arena, "%s/in/ner", name);
    rm_buf_init(&edited, OUT_MAX);
    if (path.ptr && rm_json_set_member(text, path.ptr, RM_SLICE("17"), &edited) == RM_OK) {
        RM_CHECK(rm_json_parse(arena, rm_buf_slice(&edited), &root) == RM_OK);
        RM_CHECK(rm_json_i64(rm_json_get(rm_json_get(rm_json_get(root, name), "in"), "ner"), 0) == 17);
    }
    rm_buf_deinit(&edited);
}

/* A name that a path can hold, else "a". */
static char *choose_name(rm_arena *arena, const rm_json *root)
{
    rm_json_iter first = rm_json_iterate(root);
    rm_slice name = RM_SLICE("a");
    if (rm_json_iter_next(&first) && first.key.ptr && !memchr(first.key.ptr, '/', first.key.len) && first.key.ptr &&
        !memchr(first.key.ptr, '\0', first.key.len))
        name = first.key;
    rm_slice copy = rm_arena_dup(arena, name);
    return copy.ptr ? (char *)(uintptr_t)copy.ptr : NULL;
}

static void run_blindly(rm_slice text)
{
    rm_buf out;
    rm_json_span span;
    rm_buf_init(&out, OUT_MAX);
    (void)!rm_json_find_span(text, "a/b", &span);
    (void)!rm_json_remove_member(text, "a", &out);
    rm_buf_clear(&out);
    (void)!rm_json_set_member(text, "a/b", RM_SLICE("1"), &out);
    rm_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_slice text = rm_slice_make((const char *)data, size);
    rm_arena arena;
    const rm_json *root;
    rm_buf rest;
    run_blindly(text);
    rm_arena_init(&arena, NULL, 64 * RM_MIB);
    rm_buf_init(&rest, OUT_MAX);
    if (size < 65536 && rm_json_parse(&arena, text, &root) == RM_OK && rm_json_typeof(root) == RM_JSON_OBJECT) {
        char *name = choose_name(&arena, root);
        if (name && without(&arena, text, name, &root, &rest) == RM_OK) {
            check_edits(&arena, text, name, &rest);
            check_deep_edit(&arena, text, name);
        }
    }
    rm_buf_deinit(&rest);
    rm_arena_deinit(&arena);
    return 0;
}
