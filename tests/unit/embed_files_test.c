/* A model's files: whole ones are read to the last bit, and whatever is wrong with one is a status and one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static char folder[64];

static void write_file(const char *name, rm_slice bytes)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    (void)unlink(path);
}

static void check_why(rm_buf *why, const char *mentions)
{
    assert_int_equal(rm_buf_append_char(why, '\0'), RM_OK);
    why->len--;
    assert_true(strlen(why->ptr) == why->len);
    assert_null(strchr(why->ptr, '\n'));
    if (!strstr(why->ptr, mentions))
        fail_msg("\"%s\" does not mention \"%s\"", why->ptr, mentions);
}

/* ---- safetensors ------------------------------------------------------------------------------------------------- */

/* Length, header, and `data` bytes that count up. */
static rm_buf weights_of(rm_slice header, size_t data)
{
    rm_buf out;
    uint64_t length = header.len;
    rm_buf_init(&out, 64 * RM_MIB);
    assert_int_equal(rm_buf_reserve(&out, 8 + header.len + data), RM_OK);
    rm_buf_append(&out, &length, sizeof(length));
    rm_buf_append_slice(&out, header);
    for (size_t i = 0; i < data; i++)
        rm_buf_append_char(&out, (char)i);
    assert_int_equal(out.status, RM_OK);
    return out;
}

static rm_status open_weights(rm_slice bytes, rm_embed__tensors **ret_tensors, rm_buf *why)
{
    char path[256];
    write_file("model.safetensors", bytes);
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    return rm_embed__tensors_open(path, ret_tensors, why);
}

/* From a file and, in a block of exactly its size so that one byte too far is found, from memory. */
static void check_refused(rm_slice bytes, rm_status expected, const char *mentions)
{
    rm_embed__tensors *untouched = (rm_embed__tensors *)(uintptr_t)1, *tensors = untouched;
    rm_buf why;
    rm_buf_init(&why, 4096);
    assert_int_equal(open_weights(bytes, &tensors, &why), expected);
    assert_ptr_equal(tensors, untouched);
    check_why(&why, mentions);
    check_why(&why, "model.safetensors: ");
    rm_buf_deinit(&why);

    char *exact = malloc(bytes.len);
    assert_true(exact || bytes.len == 0);
    if (bytes.len)
        memcpy(exact, bytes.ptr, bytes.len);
    assert_int_equal(rm_embed__tensors_parse("memory", rm_slice_make(exact, bytes.len), &tensors, NULL), expected);
    free(exact);
}

static void check_header_refused(const char *header, size_t data, rm_status expected, const char *mentions)
{
    rm_buf bytes = weights_of(rm_slice_cstr(header), data);
    check_refused(rm_buf_slice(&bytes), expected, mentions);
    rm_buf_deinit(&bytes);
}

#define WHOLE                                                                   \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                    \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"        \
    "\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"           \
    "\"c.d\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[32,38]},"      \
    "\"c\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[38,40]},"          \
    "\"odd\":{\"dtype\":\"F8_E4M3\",\"shape\":[9,9],\"data_offsets\":[40,41]}," \
    "\"empty\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[41,41]}}   "
enum { WHOLE_DATA = 41 };

static void test_whole(void **state)
{
    (void)state;
    rm_buf bytes = weights_of(RM_SLICE(WHOLE), WHOLE_DATA);
    const char *data = bytes.ptr + bytes.len - WHOLE_DATA;
    rm_embed__tensors *tensors;
    assert_int_equal(open_weights(rm_buf_slice(&bytes), &tensors, NULL), RM_OK);

    const rm_embed__tensor *b = rm_embed__tensors_find(tensors, RM_SLICE("b"));
    assert_non_null(b);
    assert_true(rm_slice_eq(b->name, RM_SLICE("b")) && b->dtype == RM_EMBED__F32 && b->dimensions == 2);
    assert_true(b->shape[0] == 2 && b->shape[1] == 3);
    float got[6];
    rm_embed__tensor_floats(b, 0, 6, got);
    assert_memory_equal(got, data + 8, 24);
    rm_embed__tensor_floats(b, 5, 1, got);
    assert_memory_equal(got, data + 28, 4);
    rm_embed__tensor_floats(b, 6, 0, NULL);

    const rm_embed__tensor *c = rm_embed__tensors_find(tensors, RM_SLICE("c"));
    assert_true(c && c->dimensions == 0 && c->dtype == RM_EMBED__F16);
    rm_embed__tensor_floats(c, 0, 1, got);
    const rm_embed__tensor *empty = rm_embed__tensors_find(tensors, RM_SLICE("empty"));
    assert_true(empty && empty->dimensions == 2 && empty->shape[1] == 0);
    assert_non_null(rm_embed__tensors_find(tensors, RM_SLICE("c.d")));
    static const char *const absent[] = {"a", "odd", "__metadata__", "", "c.", "z", "B"};
    for (size_t i = 0; i < RM_COUNT(absent); i++)
        assert_null(rm_embed__tensors_find(tensors, rm_slice_cstr(absent[i])));
    rm_embed__tensors_close(tensors);
    rm_embed__tensors_close(NULL);
    rm_buf_deinit(&bytes);
}

static void test_no_arrays(void **state)
{
    (void)state;
    static const char *const headers[] = {"{}", "{\"__metadata__\":{}}"};
    for (size_t i = 0; i < RM_COUNT(headers); i++) {
        rm_embed__tensors *tensors;
        rm_buf bytes = weights_of(rm_slice_cstr(headers[i]), 0);
        assert_int_equal(open_weights(rm_buf_slice(&bytes), &tensors, NULL), RM_OK);
        assert_null(rm_embed__tensors_find(tensors, RM_SLICE("a")));
        rm_embed__tensors_close(tensors);
        rm_buf_deinit(&bytes);
    }
}

/* Cut at each byte, and with one too many. */
static void test_cut(void **state)
{
    (void)state;
    rm_buf bytes = weights_of(RM_SLICE(WHOLE), WHOLE_DATA + 1);
    for (size_t len = 0; len < bytes.len - 1; len++)
        check_refused(rm_slice_make(bytes.ptr, len), RM_ECORRUPT, "cut off");
    check_refused(rm_buf_slice(&bytes), RM_ECORRUPT, "1 bytes too many");
    rm_buf_deinit(&bytes);
}

#define ONE(dtype, shape, offsets) "{\"a\\nb\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_damaged(void **state)
{
    (void)state;
    static const struct {
        const char *header, *mentions;
    } cases[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{\"a\":1", "no JSON object"},
        {"{} {}", "no JSON object"},
        {"{\"a\xff\":{}}", "no JSON object"},
        {"{\"a\":1}", "\"a\" has no dtype"},
        {"{\"a\":{}}", "\"a\" has no dtype"},
        {"{\"__metadata__\":[]}", "__metadata__"},
        {ONE("7", "[1]", "[0,4]"), "\"a?b\" has no dtype"},
        {ONE("\"F32\"", "[1]", "[]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0,4,4]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "{\"a\":0,\"b\":4}"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[4,0]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0,-1]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0.5,4]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0,18446744073709551620]"), "data_offsets"},
        {ONE("\"F32\"", "[1]", "[\"0\",4]"), "data_offsets"},
        {ONE("\"F32\"", "1", "[0,4]"), "shape"},
        {ONE("\"F32\"", "null", "[0,4]"), "shape"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), "shape"},
        {ONE("\"F32\"", "[\"1\"]", "[0,4]"), "shape"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), "shape"},
        {ONE("\"F32\"", "[4294967296,4294967296,0]", "[0,0]"), "shape"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), "another size"},
        {ONE("\"F32\"", "[4611686018427387905]", "[0,4]"), "another size"},
        {ONE("\"F32\"", "[2]", "[0,4]"), "another size"},
        {ONE("\"F16\"", "[1]", "[0,4]"), "another size"},
        {ONE("\"BF16\"", "[3]", "[0,4]"), "another size"},
        {ONE("\"I64\"", "[1]", "[0,4]"), "another size"},
        {ONE("\"F32\"", "[0]", "[0,4]"), "another size"},
        {ONE("\"F4\"", "[8]", "[4,4]"), "gap"},
        {ONE("\"F32\"", "[2]", "[0,8]"), "cut off: 4 bytes"},
        {ONE("\"F32\"", "[2305843009213693951]", "[0,9223372036854775804]"), "cut off"},
        {ONE("\"F4\"", "[1]", "[9223372036854775807,9223372036854775807]"), "gap"},
        {ONE("\"F32\"", "[0]", "[0,0]"), "4 bytes too many"},
    };
    for (size_t i = 0; i < RM_COUNT(cases); i++)
        check_header_refused(cases[i].header, 4, RM_ECORRUPT, cases[i].mentions);
}

static void test_places(void **state)
{
    (void)state;
#define TWO(first, second)                                                 \
    "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" first "}," \
    "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" second "}}"
    check_header_refused(TWO("[0,8]", "[4,12]"), 12, RM_ECORRUPT, "\"y\" overlaps");
    check_header_refused(TWO("[4,12]", "[0,8]"), 12, RM_ECORRUPT, "\"x\" overlaps");
    check_header_refused(TWO("[0,8]", "[0,8]"), 8, RM_ECORRUPT, "overlaps");
    check_header_refused(TWO("[0,8]", "[12,20]"), 20, RM_ECORRUPT, "\"y\" leaves a gap");
    check_header_refused(TWO("[4,12]", "[12,20]"), 20, RM_ECORRUPT, "\"x\" leaves a gap");
    check_header_refused(TWO("[0,8]", "[8,16]"), 15, RM_ECORRUPT, "cut off: 1 bytes");
    check_header_refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
                         "\"x\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                         0, RM_ECORRUPT, "\"x\" is there twice");
#undef TWO
}

static void test_foreign(void **state)
{
    (void)state;
    check_refused(RM_SLICE("version https://git-lfs.example/spec/v1\noid sha256:0\nsize 90868376\n"), RM_ECORRUPT,
                  "git lfs pull");
    check_refused(RM_SLICE("PK\x03\x04 a PyTorch file"), RM_ECORRUPT, "not a safetensors file");
    check_header_refused(ONE("\"F32\"", "[1,1,1,1,1]", "[0,4]"), 4, RM_EUNSUPPORTED, "5 dimensions");
}

static void test_header_limit(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t len = RM_EMBED_HEADER_BYTES_MAX + more;
        char *header = malloc(len);
        assert_non_null(header);
        memset(header, ' ', len);
        memcpy(header, "{}", 2);
        rm_buf bytes = weights_of(rm_slice_make(header, len), 0);
        rm_embed__tensors *tensors = NULL;
        if (more)
            check_refused(rm_buf_slice(&bytes), RM_ETOOBIG, "16777217");
        else
            assert_int_equal(open_weights(rm_buf_slice(&bytes), &tensors, NULL), RM_OK);
        rm_embed__tensors_close(tensors);
        rm_buf_deinit(&bytes);
        free(header);
    }
}

static void check_tensor_count(unsigned count, bool metadata, rm_status expected)
{
    rm_buf header;
    rm_embed__tensors *tensors = NULL;
    rm_buf_init(&header, RM_MIB);
    rm_buf_append_cstr(&header, metadata ? "{\"__metadata__\":{}" : "{");
    for (unsigned i = 0; i < count; i++)
        rm_buf_appendf(&header, "%s\"%u\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                       i || metadata ? "," : "", i);
    rm_buf_append_char(&header, '}');
    assert_int_equal(header.status, RM_OK);
    rm_buf bytes = weights_of(rm_buf_slice(&header), 0);
    assert_int_equal(rm_embed__tensors_parse("memory", rm_buf_slice(&bytes), &tensors, NULL), expected);
    for (unsigned i = 0; tensors && i < count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", i);
        const rm_embed__tensor *tensor = rm_embed__tensors_find(tensors, rm_slice_cstr(name));
        assert_true(tensor && rm_slice_eq(tensor->name, rm_slice_cstr(name)));
    }
    rm_embed__tensors_close(tensors);
    rm_buf_deinit(&bytes);
    rm_buf_deinit(&header);
}

static void test_tensor_limit(void **state)
{
    (void)state;
    check_tensor_count(RM_EMBED_TENSORS_MAX, false, RM_OK);
    check_tensor_count(RM_EMBED_TENSORS_MAX, true, RM_OK);
    check_tensor_count(RM_EMBED_TENSORS_MAX + 1, false, RM_ETOOBIG);
    check_tensor_count(RM_EMBED_TENSORS_MAX + 1, true, RM_ETOOBIG);
}

static void test_no_file(void **state)
{
    (void)state;
    rm_embed__tensors *tensors;
    rm_buf why;
    char path[256];
    rm_buf_init(&why, 4096);
    snprintf(path, sizeof(path), "%s/none.safetensors", folder);
    assert_int_equal(rm_embed__tensors_open(path, &tensors, &why), RM_ENOTFOUND);
    check_why(&why, "none.safetensors: is missing");
    rm_buf_clear(&why);
    assert_int_equal(rm_embed__tensors_open(folder, &tensors, &why), RM_EIO);
    check_why(&why, "no regular file");
    rm_buf_clear(&why);
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(rm_embed__tensors_open(path, &tensors, &why), RM_EIO);
    assert_int_equal(unlink(path), 0);
    rm_buf_deinit(&why);
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* All 65,536 halves, from an odd address, against their definition. */
static void test_halves(void **state)
{
    (void)state;
    enum { ALL = 65536 };
    unsigned char *bytes = malloc(2 * ALL + 1);
    float *got = malloc(ALL * sizeof(float));
    assert_true(bytes && got);
    for (uint32_t i = 0; i < ALL; i++) {
        uint16_t half = (uint16_t)i;
        memcpy(bytes + 1 + 2 * (size_t)i, &half, sizeof(half));
    }
    rm_embed__tensor tensor = {.dtype = RM_EMBED__F16, .dimensions = 2, .shape = {256, 256}, .data = bytes + 1};
    rm_embed__tensor_floats(&tensor, 0, ALL, got);
    for (uint32_t i = 0; i < ALL; i++) {
        int exponent = (int)(i >> 10 & 31);
        double fraction = i & 1023, sign = i & 0x8000 ? -1 : 1;
        if (exponent == 31 && fraction != 0) {
            assert_true(isnan(got[i]) && bits_of(got[i]) == ((i & 0x8000) << 16 | 0x7F800000 | (i & 1023) << 13));
            continue;
        }
        double expected = exponent == 31  ? (double)INFINITY
                          : exponent == 0 ? fraction * 0x1p-24
                                          : (1 + fraction / 1024) * pow(2, exponent - 15);
        assert_true((double)got[i] == sign * expected && !signbit(got[i]) == !(i & 0x8000));
    }
    free(bytes);
    free(got);
}

static void test_brains(void **state)
{
    (void)state;
    static const uint16_t halves[] = {0, 0x8000, 0x3F80, 0xBF80, 0x0001, 0x7F80, 0xFF80, 0x7FC1, 0x7F7F};
    float got[RM_COUNT(halves)];
    rm_embed__tensor tensor = {
        .dtype = RM_EMBED__BF16, .dimensions = 1, .shape = {RM_COUNT(halves)}, .data = (const unsigned char *)halves};
    rm_embed__tensor_floats(&tensor, 0, RM_COUNT(halves), got);
    for (size_t i = 0; i < RM_COUNT(halves); i++)
        assert_int_equal(bits_of(got[i]), (uint32_t)halves[i] << 16);
    rm_embed__tensor_floats(&tensor, 2, 1, got);
    assert_true(got[0] == 1.0F);
}

/* ---- shape ------------------------------------------------------------------------------------------------------- */

#define CONFIG_OF(type, heads, hidden, more)                                                                     \
    "{\"model_type\":" type ",\"num_hidden_layers\":6,\"num_attention_heads\":" heads ",\"hidden_size\":" hidden \
    ",\"intermediate_size\":1536,\"vocab_size\":30522,\"max_position_embeddings\":512" more "}"
#define CONFIG CONFIG_OF("\"bert\"", "12", "384", "")

static rm_status read_shape(const char *config, const char *sentence, const char *pooling, const char *modules,
                            rm_model_shape *ret_shape, rm_buf *why)
{
    const char *texts[] = {config, sentence, pooling, modules};
    static const char *const names[] = {"config.json", "sentence_bert_config.json", "1_Pooling/config.json",
                                        "modules.json"};
    for (size_t i = 0; i < RM_COUNT(texts); i++) {
        remove_file(names[i]);
        if (texts[i])
            write_file(names[i], rm_slice_cstr(texts[i]));
    }
    return rm_embed__shape_read(folder, ret_shape, why);
}

static void check_shape_refused(const char *config, const char *sentence, const char *pooling, const char *modules,
                                rm_status expected, const char *mentions)
{
    rm_model_shape shape = {.layers = 77};
    rm_buf why;
    rm_buf_init(&why, 8192);
    assert_int_equal(read_shape(config, sentence, pooling, modules, &shape, &why), expected);
    assert_int_equal(shape.layers, 77);
    check_why(&why, mentions);
    check_why(&why, "json: ");
    rm_buf_deinit(&why);
}

static void test_shape(void **state)
{
    (void)state;
    rm_model_shape shape;
    assert_int_equal(read_shape(CONFIG, NULL, NULL, NULL, &shape, NULL), RM_OK);
    assert_true(shape.layers == 6 && shape.heads == 12 && shape.hidden == 384 && shape.intermediate == 1536);
    assert_true(shape.vocabulary == 30522 && shape.positions == 512 && shape.tokens_max == 512);
    assert_true(shape.norm_epsilon == 1e-12F && shape.pooling == RM_POOLING_MEAN);

    assert_int_equal(read_shape(CONFIG_OF("\"bert\"", "1", "2",
                                          ",\"layer_norm_eps\":1e-05,\"hidden_act\":\"gelu\",\"is_decoder\":false,"
                                          "\"position_embedding_type\":\"absolute\""),
                                "{\"max_seq_length\":256}",
                                "{\"word_embedding_dimension\":2,\"pooling_mode_cls_token\":true,"
                                "\"pooling_mode_mean_tokens\":false,\"pooling_mode_max_tokens\":false}",
                                "[{\"type\":\"sentence_transformers.models.Transformer\"},"
                                "{\"type\":\"sentence_transformers.models.Pooling\"},{\"type\":\"Normalize\"}]",
                                &shape, NULL),
                     RM_OK);
    assert_true(shape.tokens_max == 256 && shape.pooling == RM_POOLING_CLS && shape.norm_epsilon == 1e-05F);
    assert_int_equal(read_shape(CONFIG_OF("\"bert\"", "2", "2", ",\"position_embedding_type\":null"),
                                "{\"max_seq_length\":null}", "{\"pooling_mode\":\"cls\"}", "[]", &shape, NULL),
                     RM_OK);
    assert_true(shape.tokens_max == 512 && shape.pooling == RM_POOLING_CLS);
    assert_int_equal(
        read_shape(CONFIG, "{\"max_seq_length\":100000}", "{\"pooling_mode_mean_tokens\":true}", NULL, &shape, NULL),
        RM_OK);
    assert_true(shape.tokens_max == 512 && shape.pooling == RM_POOLING_MEAN);
}

static void test_config_refused(void **state)
{
    (void)state;
#define WITH(more) CONFIG_OF("\"bert\"", "12", "384", more)
    static const struct {
        const char *config;
        rm_status status;
        const char *mentions;
    } cases[] = {
        {NULL, RM_ENOTFOUND, "config.json: is missing"},
        {"", RM_ECORRUPT, "no JSON object"},
        {"[]", RM_ECORRUPT, "no JSON object"},
        {"{\"model_type\":\"bert\"", RM_ECORRUPT, "no JSON object"},
        {"{}", RM_EUNSUPPORTED, "model_type must be \"bert\""},
        {CONFIG_OF("\"xlm-roberta\"", "12", "384", ""), RM_EUNSUPPORTED, "model_type"},
        {CONFIG_OF("null", "12", "384", ""), RM_EUNSUPPORTED, "model_type"},
        {WITH(",\"hidden_act\":\"gelu_new\""), RM_EUNSUPPORTED, "hidden_act must be \"gelu\""},
        {WITH(",\"hidden_act\":7"), RM_EUNSUPPORTED, "hidden_act"},
        {WITH(",\"position_embedding_type\":\"relative_key\""), RM_EUNSUPPORTED, "position_embedding_type"},
        {WITH(",\"is_decoder\":true"), RM_EUNSUPPORTED, "is_decoder"},
        {WITH(",\"layer_norm_eps\":0"), RM_ECORRUPT, "layer_norm_eps"},
        {WITH(",\"layer_norm_eps\":-1e-12"), RM_ECORRUPT, "layer_norm_eps"},
        {WITH(",\"layer_norm_eps\":1"), RM_ECORRUPT, "layer_norm_eps"},
        {WITH(",\"layer_norm_eps\":\"1e-12\""), RM_ECORRUPT, "layer_norm_eps"},
        {WITH(",\"layer_norm_eps\":1e999"), RM_ECORRUPT, "layer_norm_eps"},
        {CONFIG_OF("\"bert\"", "7", "384", ""), RM_ECORRUPT, "hidden_size 384 is no multiple"},
        {CONFIG_OF("\"bert\"", "0", "384", ""), RM_ECORRUPT, "num_attention_heads"},
        {CONFIG_OF("\"bert\"", "12.5", "384", ""), RM_ECORRUPT, "num_attention_heads"},
        {CONFIG_OF("\"bert\"", "\"12\"", "384", ""), RM_ECORRUPT, "num_attention_heads"},
        {CONFIG_OF("\"bert\"", "12", "-384", ""), RM_ECORRUPT, "hidden_size"},
        {CONFIG_OF("\"bert\"", "12", "99999999999999999999", ""), RM_ECORRUPT, "hidden_size"},
    };
#undef WITH
    for (size_t i = 0; i < RM_COUNT(cases); i++)
        check_shape_refused(cases[i].config, NULL, NULL, NULL, cases[i].status, cases[i].mentions);
}

/* Each number at its bounds and one past them. */
static void test_config_limits(void **state)
{
    (void)state;
    static const char *const names[] = {"num_hidden_layers", "num_attention_heads", "hidden_size",
                                        "intermediate_size", "vocab_size",          "max_position_embeddings"};
    static const unsigned most[] = {RM_EMBED_LAYERS_MAX,     RM_EMBED_HIDDEN_MAX,       RM_EMBED_HIDDEN_MAX,
                                    4 * RM_EMBED_HIDDEN_MAX, RM_EMBED_VOCAB_TOKENS_MAX, RM_EMBED_POSITIONS_MAX};
    static const unsigned least[] = {1, 1, 1, 1, 1, 2};
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        const struct {
            unsigned value;
            rm_status status;
        } cases[] = {{most[i], RM_OK}, {most[i] + 1, RM_ETOOBIG}, {least[i], RM_OK}, {least[i] - 1, RM_ECORRUPT}};
        for (size_t k = 0; k < RM_COUNT(cases); k++) {
            char config[512];
            int len = snprintf(config, sizeof(config), "{\"model_type\":\"bert\"");
            for (size_t j = 0; j < RM_COUNT(names); j++) {
                unsigned other = j == 1 && i == 1 && k < 2 ? most[j] : j == 1 ? 1 : j == 2 ? most[j] : 2;
                len += snprintf(config + len, sizeof(config) - (size_t)len, ",\"%s\":%u", names[j],
                                j == i ? cases[k].value : other);
            }
            (void)snprintf(config + len, sizeof(config) - (size_t)len, "}");
            rm_model_shape shape;
            if (cases[k].status != RM_OK) {
                check_shape_refused(config, NULL, NULL, NULL, cases[k].status, names[i]);
                continue;
            }
            assert_int_equal(read_shape(config, NULL, NULL, NULL, &shape, NULL), RM_OK);
            assert_true(shape.tokens_max ==
                        (shape.positions < RM_EMBED_BATCH_TOKENS_MAX ? shape.positions : RM_EMBED_BATCH_TOKENS_MAX));
        }
    }
}

static void test_neighbours_refused(void **state)
{
    (void)state;
    check_shape_refused(CONFIG, "[]", NULL, NULL, RM_ECORRUPT, "sentence_bert_config.json: is no JSON object");
    check_shape_refused(CONFIG, "{\"max_seq_length\":1}", NULL, NULL, RM_ECORRUPT, "max_seq_length");
    check_shape_refused(CONFIG, "{\"max_seq_length\":\"256\"}", NULL, NULL, RM_ECORRUPT, "max_seq_length");
    check_shape_refused(CONFIG, NULL, "", NULL, RM_ECORRUPT, "1_Pooling/config.json: is no JSON object");
    static const char *const poolings[] = {
        "{}",
        "{\"pooling_mode\":\"max\"}",
        "{\"pooling_mode_max_tokens\":true}",
        "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":true}",
        "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true}",
        "{\"pooling_mode_mean_tokens\":\"true\"}",
        "{\"pooling_mode_mean_sqrt_len_tokens\":true,\"pooling_mode_mean_tokens\":false}",
    };
    for (size_t i = 0; i < RM_COUNT(poolings); i++)
        check_shape_refused(CONFIG, NULL, poolings[i], NULL, RM_EUNSUPPORTED, "mean or CLS");
    check_shape_refused(CONFIG, NULL, "{\"pooling_mode_mean_tokens\":true,\"word_embedding_dimension\":768}", NULL,
                        RM_ECORRUPT, "hidden_size 384");
    check_shape_refused(CONFIG, NULL, NULL, "{}", RM_ECORRUPT, "modules.json: is no JSON array");
    check_shape_refused(CONFIG, NULL, NULL, "[{\"type\":\"a.Pooling\"},{\"type\":\"a.models.Dense\"}]", RM_EUNSUPPORTED,
                        "module 1");
    check_shape_refused(CONFIG, NULL, NULL, "[7]", RM_EUNSUPPORTED, "module 0");
}

static void test_config_size(void **state)
{
    (void)state;
    size_t len = RM_EMBED_CONFIG_BYTES_MAX;
    char *text = malloc(len + 2);
    assert_non_null(text);
    memset(text, ' ', len + 1);
    memcpy(text, CONFIG, sizeof(CONFIG) - 1);
    text[len] = '\0';
    rm_model_shape shape;
    assert_int_equal(read_shape(text, NULL, NULL, NULL, &shape, NULL), RM_OK);
    text[len] = ' ';
    text[len + 1] = '\0';
    check_shape_refused(text, NULL, NULL, NULL, RM_ETOOBIG, "1048576 bytes");
    free(text);
}

static void test_folders(void **state)
{
    (void)state;
    rm_model_shape shape;
    rm_buf why;
    rm_buf_init(&why, 16384);
    char path[256], *far = malloc(5000);
    snprintf(path, sizeof(path), "%s/absent", folder);
    assert_int_equal(rm_embed__shape_read(path, &shape, &why), RM_ENOTFOUND);
    check_why(&why, "absent/config.json: is missing");
    rm_buf_clear(&why);
    assert_non_null(far);
    memset(far, 'x', 4999);
    far[4999] = '\0';
    assert_int_equal(rm_embed__shape_read(far, &shape, &why), RM_ETOOBIG);
    assert_int_equal(rm_embed__shape_parse(far, (rm_slice[RM_EMBED__SHAPE_FILES]){0}, &shape, NULL), RM_ETOOBIG);
    free(far);
    rm_buf_clear(&why);

    remove_file("config.json");
    snprintf(path, sizeof(path), "%s/config.json", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(rm_embed__shape_read(folder, &shape, &why), RM_EIO);
    check_why(&why, "is a folder");
    assert_int_equal(rmdir(path), 0);
    rm_buf_deinit(&why);
}

/* ---- allocation failures ------------------------------------------------------------------------------------------- */

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    (void)state;
    rm_buf bytes = weights_of(RM_SLICE(WHOLE), WHOLE_DATA);
    char memory[1024];
    rm_status status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_embed__tensors *tensors = NULL;
        rm_buf why = rm_buf_over(memory, sizeof(memory));
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = open_weights(rm_buf_slice(&bytes), &tensors, &why);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_ENOMEM || (status == RM_OK && nth > 3));
        if (status != RM_OK)
            check_why(&why, "out of memory");
        rm_embed__tensors_close(tensors);
    }
    rm_buf_deinit(&bytes);
    status = RM_ENOMEM;
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_model_shape shape;
        rm_buf why = rm_buf_over(memory, sizeof(memory));
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status =
            read_shape(CONFIG, "{\"max_seq_length\":256}", "{\"pooling_mode_mean_tokens\":true}", "[]", &shape, &why);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_ENOMEM || (status == RM_OK && nth > 5));
        if (status != RM_OK)
            check_why(&why, "out of memory");
    }
}
#endif

static int make_folder(void **state)
{
    (void)state;
    char path[128];
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/remora-files-XXXXXX", parent && strlen(parent) < 32 ? parent : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/1_Pooling", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"model.safetensors", "config.json", "sentence_bert_config.json",
                                        "1_Pooling/config.json", "modules.json"};
    char path[128];
    for (size_t i = 0; i < RM_COUNT(names); i++)
        remove_file(names[i]);
    snprintf(path, sizeof(path), "%s/1_Pooling", folder);
    (void)rmdir(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_no_arrays),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_tensor_limit),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_brains),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_config_refused),
        cmocka_unit_test(test_config_limits),
        cmocka_unit_test(test_neighbours_refused),
        cmocka_unit_test(test_config_size),
        cmocka_unit_test(test_folders),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
