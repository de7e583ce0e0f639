/* The weights file: read-only mapping, everything checked before anything is used.
 *
 *   u64, little-endian | header: JSON of that many bytes, padded with spaces | the arrays, row by row
 *
 * As the reference implementation has it, the arrays must lie one behind the other without gap or overlap and end where
 * the file ends; so a cut or a wrongly joined file cannot pass. The mapping is of a file that nobody shortens meanwhile:
 * models/fetch puts a folder in place by rename, and the mapping lives only while a model is loaded. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "remora/json.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the arrays are little-endian and read as they are"
#endif

#define LENGTH_BYTES 8
/* The JSON library takes 16 bytes a value, and the shortest value with its comma has two. */
#define SCRATCH_BYTES_MAX (16 * RM_EMBED_HEADER_BYTES_MAX)

typedef struct array {
    rm_embed__tensor tensor;
    uint64_t begin, end; /* in the bytes behind the header */
    bool wanted;         /* of a type that the encoder reads */
} array;

struct rm_embed__tensors {
    array *arrays; /* by name */
    size_t count;
    char *names;
    void *mapping; /* NULL: the bytes are somebody else's */
    size_t mapping_bytes;
};

typedef struct reader {
    const char *path;
    rm_slice data; /* behind the header */
    rm_buf *why;
} reader;

/* Those of the format's types whose elements take whole bytes; an array of any other is not looked into. */
static const struct dtype {
    const char *name;
    unsigned bytes;
    int dtype; /* rm_embed__dtype, or OTHER */
} dtypes[] = {
#define OTHER (-1)
    {"F32", 4, RM_EMBED__F32}, {"F16", 2, RM_EMBED__F16}, {"BF16", 2, RM_EMBED__BF16},
    {"F64", 8, OTHER},         {"I64", 8, OTHER},         {"U64", 8, OTHER},
    {"I32", 4, OTHER},         {"U32", 4, OTHER},         {"I16", 2, OTHER},
    {"U16", 2, OTHER},         {"I8", 1, OTHER},          {"U8", 1, OTHER},
    {"BOOL", 1, OTHER},
};

/* ---- why --------------------------------------------------------------------------------------------------------- */

/* A name out of the file, fit for one line of text. */
typedef struct shown {
    char text[80];
} shown;

static shown show(rm_slice name)
{
    shown out;
    size_t len = name.len < sizeof(out.text) - 1 ? name.len : sizeof(out.text) - 1;
    for (size_t i = 0; i < len; i++)
        out.text[i] = name.ptr[i] >= ' ' && name.ptr[i] <= '~' ? name.ptr[i] : '?';
    out.text[len] = '\0';
    return out;
}

#define AGAIN "get the file again"

static rm_status refuse_array(const reader *in, rm_slice name, const char *what)
{
    return rm_embed__refuse(in->why, RM_ECORRUPT, in->path, "damaged: array \"%s\" %s; " AGAIN, show(name).text, what);
}

/* ---- one array of the header --------------------------------------------------------------------------------------- */

static const struct dtype *find_dtype(rm_slice name)
{
    for (size_t i = 0; i < RM_COUNT(dtypes); i++) {
        if (rm_slice_eq(name, rm_slice_cstr(dtypes[i].name)))
            return &dtypes[i];
    }
    return NULL;
}

/* The number of elements, and into the tensor as many dimensions as it has room for. */
static bool read_shape(const rm_json *shape, rm_embed__tensor *tensor, uint64_t *ret_elements)
{
    uint64_t elements = 1;
    if (rm_json_typeof(shape) != RM_JSON_ARRAY)
        return false;
    tensor->dimensions = (uint32_t)rm_json_count(shape);
    for (rm_json_iter it = rm_json_iterate(shape); rm_json_iter_next(&it);) {
        int64_t size = rm_json_i64(it.value, -1);
        if (size < 0 || __builtin_mul_overflow(elements, (uint64_t)size, &elements))
            return false;
        if (it.index <= RM_EMBED__DIMENSIONS_MAX) /* the iterator stands behind the value already */
            tensor->shape[it.index - 1] = (uint64_t)size;
    }
    *ret_elements = elements;
    return true;
}

static rm_status read_array(const reader *in, rm_slice name, const rm_json *value, array *out)
{
    const rm_json *offsets = rm_json_get(value, "data_offsets");
    rm_slice type = rm_json_string(rm_json_get(value, "dtype"));
    int64_t begin = rm_json_i64(rm_json_at(offsets, 0), -1), end = rm_json_i64(rm_json_at(offsets, 1), -1);
    uint64_t elements, bytes;

    *out = (array){.tensor = {.name = name}, .begin = (uint64_t)begin, .end = (uint64_t)end};
    if (!type.ptr)
        return refuse_array(in, name, "has no dtype");
    if (begin < 0 || end < begin || rm_json_count(offsets) != 2)
        return refuse_array(in, name, "has no data_offsets of a begin and an end");
    if (!read_shape(rm_json_get(value, "shape"), &out->tensor, &elements))
        return refuse_array(in, name, "has no shape of sizes, or one too large to count");
    const struct dtype *dtype = find_dtype(type);
    if (!dtype)
        return RM_OK;
    if (__builtin_mul_overflow(elements, dtype->bytes, &bytes) || bytes != out->end - out->begin)
        return refuse_array(in, name, "has another size than its shape and dtype say");
    if (dtype->dtype == OTHER)
        return RM_OK;
    if (out->tensor.dimensions > RM_EMBED__DIMENSIONS_MAX)
        return rm_embed__refuse(in->why, RM_EUNSUPPORTED, in->path,
                                "array \"%s\" has %u dimensions, at most %d are read", show(name).text,
                                (unsigned)out->tensor.dimensions, RM_EMBED__DIMENSIONS_MAX);
    out->tensor.dtype = (rm_embed__dtype)dtype->dtype;
    out->wanted = true;
    return RM_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right)
{
    const array *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

static int compare_names(rm_slice a, rm_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *left, const void *right)
{
    const array *a = left, *b = right;
    return compare_names(a->tensor.name, b->tensor.name);
}

/* One behind the other, from the header's end to the file's. */
static rm_status check_places(const reader *in, array *arrays, size_t count)
{
    uint64_t at = 0;
    qsort(arrays, count, sizeof(*arrays), by_place);
    for (size_t i = 0; i < count; i++) {
        if (arrays[i].begin != at)
            return refuse_array(in, arrays[i].tensor.name,
                                arrays[i].begin < at ? "overlaps the one before it" : "leaves a gap before it");
        at = arrays[i].end;
    }
    if (at > in->data.len)
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path, "is cut off: %llu bytes are missing at its end; " AGAIN,
                                (unsigned long long)(at - in->data.len));
    if (at < in->data.len)
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path, "damaged: %llu bytes too many at its end; " AGAIN,
                                (unsigned long long)(in->data.len - at));
    return RM_OK;
}

/* Leaves them in the order that the search wants. */
static rm_status check_names(const reader *in, array *arrays, size_t count)
{
    qsort(arrays, count, sizeof(*arrays), by_name);
    for (size_t i = 1; i < count; i++) {
        if (by_name(&arrays[i - 1], &arrays[i]) == 0)
            return refuse_array(in, arrays[i].tensor.name, "is there twice");
    }
    return RM_OK;
}

static rm_status read_arrays(const reader *in, const rm_json *header, array *arrays, size_t *ret_count)
{
    size_t count = 0;
    for (rm_json_iter it = rm_json_iterate(header); rm_json_iter_next(&it);) {
        if (rm_slice_eq(it.key, RM_SLICE("__metadata__"))) {
            if (rm_json_typeof(it.value) != RM_JSON_OBJECT)
                return refuse_array(in, it.key, "is no object");
            continue;
        }
        rm_status status = read_array(in, it.key, it.value, &arrays[count]);
        if (status != RM_OK)
            return status;
        count++;
    }
    *ret_count = count;
    return RM_OK;
}

/* Drops what nobody reads, and gives the rest names that outlive the JSON and a place in memory. */
static rm_status keep_wanted(const reader *in, rm_embed__tensors *tensors)
{
    size_t kept = 0, bytes = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        if (tensors->arrays[i].wanted) {
            bytes += tensors->arrays[i].tensor.name.len;
            tensors->arrays[kept++] = tensors->arrays[i];
        }
    }
    tensors->count = kept;
    tensors->names = rm_alloc(bytes);
    if (!tensors->names)
        return rm_embed__refuse(in->why, RM_ENOMEM, in->path, "out of memory");
    char *at = tensors->names;
    for (size_t i = 0; i < kept; i++) {
        rm_embed__tensor *tensor = &tensors->arrays[i].tensor;
        if (tensor->name.len)
            memcpy(at, tensor->name.ptr, tensor->name.len);
        tensor->name.ptr = at;
        at += tensor->name.len;
        tensor->data = (const unsigned char *)in->data.ptr + tensors->arrays[i].begin;
    }
    return RM_OK;
}

static rm_status read_header(const reader *in, rm_slice text, rm_arena *scratch, rm_embed__tensors *tensors)
{
    const rm_json *header = NULL;
    rm_status status = rm_json_parse(scratch, text, &header);
    if (status == RM_ENOMEM)
        return rm_embed__refuse(in->why, status, in->path, "out of memory");
    if (status != RM_OK || rm_json_typeof(header) != RM_JSON_OBJECT)
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path, "its header is no JSON object; " AGAIN);
    if (rm_json_count(header) > RM_EMBED_TENSORS_MAX + 1) /* and __metadata__ */
        return rm_embed__refuse(in->why, RM_ETOOBIG, in->path,
                                "has over %d arrays; no model of a kind that is read here", RM_EMBED_TENSORS_MAX);
    tensors->arrays = rm_calloc(rm_json_count(header), sizeof(*tensors->arrays));
    if (!tensors->arrays)
        return rm_embed__refuse(in->why, RM_ENOMEM, in->path, "out of memory");
    status = read_arrays(in, header, tensors->arrays, &tensors->count);
    if (status == RM_OK && tensors->count > RM_EMBED_TENSORS_MAX)
        return rm_embed__refuse(in->why, RM_ETOOBIG, in->path,
                                "has over %d arrays; no model of a kind that is read here", RM_EMBED_TENSORS_MAX);
    if (status == RM_OK)
        status = check_places(in, tensors->arrays, tensors->count);
    if (status == RM_OK)
        status = check_names(in, tensors->arrays, tensors->count);
    return status;
}

/* Where the header is, or what kind of file this is instead. */
static rm_status find_header(reader *in, rm_slice bytes, rm_slice *ret_header)
{
    uint64_t length = 0;
    if (rm_slice_has_prefix(bytes, RM_SLICE("version https://git-lfs")))
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path,
                                "is a Git LFS pointer, not the weights; run `git lfs pull` where it came from");
    if (!bytes.ptr || bytes.len < LENGTH_BYTES)
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path, "is cut off within its first eight bytes; " AGAIN);
    memcpy(&length, bytes.ptr, LENGTH_BYTES);
    if (length > bytes.len - LENGTH_BYTES)
        return rm_embed__refuse(in->why, RM_ECORRUPT, in->path,
                                "is cut off, or not a safetensors file (its header would have %llu bytes); " AGAIN,
                                (unsigned long long)length);
    if (length > RM_EMBED_HEADER_BYTES_MAX)
        return rm_embed__refuse(in->why, RM_ETOOBIG, in->path, "its header has %llu bytes, at most %llu are read",
                                (unsigned long long)length, RM_EMBED_HEADER_BYTES_MAX);
    *ret_header = rm_slice_make(bytes.ptr + LENGTH_BYTES, (size_t)length);
    in->data = rm_slice_make(bytes.ptr + LENGTH_BYTES + length, bytes.len - LENGTH_BYTES - (size_t)length);
    return RM_OK;
}

rm_status rm_embed__tensors_parse(const char *path, rm_slice bytes, rm_embed__tensors **ret_tensors, rm_buf *why)
{
    reader in = {.path = path, .why = why};
    rm_slice header = RM_SLICE_NONE;
    rm_arena scratch;
    rm_status status = find_header(&in, bytes, &header);
    if (status != RM_OK)
        return status;
    rm_embed__tensors *tensors = rm_calloc(1, sizeof(*tensors));
    if (!tensors)
        return rm_embed__refuse(why, RM_ENOMEM, path, "out of memory");
    rm_arena_init(&scratch, NULL, SCRATCH_BYTES_MAX);
    status = read_header(&in, header, &scratch, tensors);
    if (status == RM_OK)
        status = keep_wanted(&in, tensors);
    rm_arena_deinit(&scratch);
    if (status == RM_OK)
        *ret_tensors = tensors;
    else
        rm_embed__tensors_close(tensors);
    return status;
}

/* ---- file -------------------------------------------------------------------------------------------------------- */

/* The whole file, read-only; {NULL,0} for an empty one. */
static rm_status map_file(const char *path, rm_slice *ret_bytes, rm_buf *why)
{
    struct stat info;
    void *at = NULL;
    rm_status status = RM_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* the last: a pipe must not hold us up */
    if (fd < 0)
        return rm_embed__refuse_errno(why, errno, path, RM_EMBED__MEND_MISSING);
    if (fstat(fd, &info) != 0)
        status = rm_embed__refuse_errno(why, errno, path, RM_EMBED__MEND_MISSING);
    else if (!S_ISREG(info.st_mode))
        status = rm_embed__refuse(why, RM_EIO, path, "is no regular file");
    else if (info.st_size > 0) {
        at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            status = rm_embed__refuse_errno(why, errno, path, RM_EMBED__MEND_MISSING);
    }
    (void)close(fd);
    if (status == RM_OK)
        *ret_bytes = rm_slice_make(at, (size_t)info.st_size);
    return status;
}

rm_status rm_embed__tensors_open(const char *path, rm_embed__tensors **ret_tensors, rm_buf *why)
{
    rm_embed__tensors *tensors = NULL;
    rm_slice bytes = RM_SLICE_NONE;
    rm_status status = map_file(path, &bytes, why);
    if (status != RM_OK)
        return status;
    void *mapping = (void *)(uintptr_t)bytes.ptr;
    status = rm_embed__tensors_parse(path, bytes, &tensors, why);
    if (tensors) {
        (void)posix_madvise(mapping, bytes.len, POSIX_MADV_WILLNEED);
        tensors->mapping = mapping;
        tensors->mapping_bytes = bytes.len;
        *ret_tensors = tensors;
    } else if (mapping) {
        (void)munmap(mapping, bytes.len);
    }
    return status;
}

void rm_embed__tensors_close(rm_embed__tensors *tensors)
{
    if (!tensors)
        return;
    if (tensors->mapping)
        (void)munmap(tensors->mapping, tensors->mapping_bytes);
    rm_free(tensors->names);
    rm_free(tensors->arrays);
    rm_free(tensors);
}

const rm_embed__tensor *rm_embed__tensors_find(const rm_embed__tensors *tensors, rm_slice name)
{
    size_t low = 0, high = tensors->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(name, tensors->arrays[middle].tensor.name);
        if (order == 0)
            return &tensors->arrays[middle].tensor;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

/* IEEE 754 binary16, each value exactly. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16, exponent = (half >> 10) & 0x1FU, fraction = half & 0x3FFU, bits;
    float value;
    if (exponent == 0) { /* zero or denormal: a multiple of 2^-24 */
        value = (float)fraction * 0x1p-24F;
        return sign ? -value : value;
    }
    bits = exponent == 0x1F ? 0x7F800000U : (exponent + 127 - 15) << 23;
    bits |= sign | fraction << 13;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void floats_of_halves(const unsigned char *from, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof(half));
        out[i] = float_of_half(half);
    }
}

static void floats_of_brains(const unsigned char *from, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t upper;
        memcpy(&upper, from + 2 * i, sizeof(upper));
        uint32_t bits = (uint32_t)upper << 16;
        memcpy(&out[i], &bits, sizeof(bits));
    }
}

void rm_embed__tensor_floats(const rm_embed__tensor *tensor, size_t begin, size_t count, float *out)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        elements *= tensor->shape[i];
    RM_CHECK(begin <= elements && count <= elements - begin);
    if (count == 0)
        return;
    switch (tensor->dtype) {
    case RM_EMBED__F32:
        memcpy(out, tensor->data + 4 * begin, 4 * count);
        return;
    case RM_EMBED__F16:
        floats_of_halves(tensor->data + 2 * begin, count, out);
        return;
    case RM_EMBED__BF16:
        floats_of_brains(tensor->data + 2 * begin, count, out);
        return;
    }
}
