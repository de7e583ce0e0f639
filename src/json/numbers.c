/* Numbers as text. */
#include <math.h>

#include <yyjson.h>

#include "remora/json.h"

static void *doc_malloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return rm_alloc(bytes);
}

static void *doc_realloc(void *ctx, void *ptr, size_t old_bytes, size_t bytes)
{
    (void)ctx;
    (void)old_bytes;
    return rm_realloc(ptr, bytes);
}

static void doc_free(void *ctx, void *ptr)
{
    (void)ctx;
    rm_free(ptr);
}

static rm_status fail(rm_buf *out, rm_status status)
{
    if (out->status == RM_OK)
        out->status = status;
    return out->status;
}

rm_status rm_json_append_floats(const float *numbers, size_t count, rm_buf *out)
{
    const yyjson_alc alc = {.malloc = doc_malloc, .realloc = doc_realloc, .free = doc_free};
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return fail(out, RM_EINVAL);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    if (!doc)
        return fail(out, RM_ENOMEM);
    size_t len = 0;
    yyjson_mut_doc_set_root(doc, yyjson_mut_arr_with_float(doc, numbers, count));
    char *text = yyjson_mut_doc_get_root(doc) ? yyjson_mut_write_opts(doc, 0, &alc, &len, NULL) : NULL;
    if (text)
        rm_buf_append(out, text, len);
    else
        (void)fail(out, RM_ENOMEM);
    rm_free(text);
    yyjson_mut_doc_free(doc);
    return out->status;
}
