/* Reading. Values are the library's own; numbers are kept as their text, so none loses a digit. */
#include <math.h>
#include <stdlib.h>

#include "json_internal.h"

static void *arena_malloc(void *ctx, size_t size)
{
    return rm_arena_alloc(ctx, size);
}

static void *arena_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    return rm_arena_realloc(ctx, ptr, old_size, size);
}

static void arena_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr;
}

rm_status rm_json_parse(rm_arena *arena, rm_slice text, const rm_json **ret_root)
{
    yyjson_alc alc = {.malloc = arena_malloc, .realloc = arena_realloc, .free = arena_free, .ctx = arena};
    yyjson_read_err err;
    if (text.len == 0)
        return RM_EPARSE;
    /* Not read in place, so the text is not written to. */
    char *bytes = (char *)(uintptr_t)text.ptr;
    yyjson_doc *doc = yyjson_read_opts(bytes, text.len, YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
    if (!doc)
        return err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? RM_ENOMEM : RM_EPARSE;
    *ret_root = rm_json__wrap(yyjson_doc_get_root(doc));
    return RM_OK;
}

rm_json_type rm_json_typeof(const rm_json *value)
{
    switch (yyjson_get_type(rm_json__val(value))) {
    case YYJSON_TYPE_NULL:
        return RM_JSON_NULL;
    case YYJSON_TYPE_BOOL:
        return RM_JSON_BOOL;
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM:
        return RM_JSON_NUMBER;
    case YYJSON_TYPE_STR:
        return RM_JSON_STRING;
    case YYJSON_TYPE_ARR:
        return RM_JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return RM_JSON_OBJECT;
    default:
        return RM_JSON_ABSENT;
    }
}

const rm_json *rm_json_get(const rm_json *object, const char *name)
{
    return rm_json__wrap(yyjson_obj_get(rm_json__val(object), name));
}

const rm_json *rm_json_at(const rm_json *array, size_t index)
{
    return rm_json__wrap(yyjson_arr_get(rm_json__val(array), index));
}

size_t rm_json_count(const rm_json *container)
{
    yyjson_val *val = rm_json__val(container);
    return yyjson_is_ctn(val) ? unsafe_yyjson_get_len(val) : 0;
}

rm_slice rm_json_string(const rm_json *value)
{
    yyjson_val *val = rm_json__val(value);
    return yyjson_is_str(val) ? rm_slice_make(unsafe_yyjson_get_str(val), unsafe_yyjson_get_len(val)) : RM_SLICE_NONE;
}

bool rm_json_bool(const rm_json *value, bool otherwise)
{
    yyjson_val *val = rm_json__val(value);
    return yyjson_is_bool(val) ? unsafe_yyjson_get_bool(val) : otherwise;
}

rm_slice rm_json_number_text(const rm_json *value)
{
    yyjson_val *val = rm_json__val(value);
    return yyjson_is_raw(val) ? rm_slice_make(unsafe_yyjson_get_raw(val), unsafe_yyjson_get_len(val)) : RM_SLICE_NONE;
}

static bool add_digits(uint64_t *magnitude, rm_slice digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(*magnitude, 10, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(digits.ptr[i] - '0'), magnitude))
            return false;
    }
    return true;
}

int64_t rm_json_i64(const rm_json *value, int64_t otherwise)
{
    rm_json__decimal decimal;
    uint64_t magnitude = 0;
    rm_slice text = rm_json_number_text(value);
    if (!text.ptr || rm_json__decimal_read(text, &decimal) != RM_OK || decimal.exponent < 0)
        return otherwise;
    if (!add_digits(&magnitude, decimal.first) || !add_digits(&magnitude, decimal.second))
        return otherwise;
    for (int64_t i = 0; magnitude && i < decimal.exponent; i++) {
        if (__builtin_mul_overflow(magnitude, 10, &magnitude))
            return otherwise;
    }
    if (magnitude > (uint64_t)INT64_MAX + decimal.negative)
        return otherwise;
    return decimal.negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
}

double rm_json_double(const rm_json *value, double otherwise)
{
    yyjson_val *val = rm_json__val(value);
    if (!yyjson_is_raw(val))
        return otherwise;
    double number = strtod(unsafe_yyjson_get_raw(val), NULL); /* the library ends it with a NUL */
    return isfinite(number) ? number : otherwise;
}

rm_json_iter rm_json_iterate(const rm_json *container)
{
    rm_json_iter iter = {.container = container};
    if (rm_json_count(container))
        iter.cursor = unsafe_yyjson_get_first(rm_json__val(container));
    return iter;
}

bool rm_json_iter_next(rm_json_iter *iter)
{
    if (iter->index >= rm_json_count(iter->container))
        return false;
    yyjson_val *val = rm_json__val(iter->cursor);
    if (yyjson_is_obj(rm_json__val(iter->container))) {
        iter->key = rm_slice_make(unsafe_yyjson_get_str(val), unsafe_yyjson_get_len(val));
        val++; /* a key's value stands right behind it */
    }
    iter->value = rm_json__wrap(val);
    iter->cursor = unsafe_yyjson_get_next(val);
    iter->index++;
    return true;
}
