/* The whole encoder: every table of kernels that this CPU runs gives the reference's vectors on random models and texts of
 * 1 to 512 tokens; texts do not know of their neighbours; what is out of range is refused; so is a folder that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed_internal.h"
#include "tiny_model.h"

#define TOKENS_MAX 512U
#define TEXTS_MAX  8U

/* One for each length in make_lengths. The thread sanitizer takes ten times as long and learns nothing from them. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS 2
#else
#define ROUNDS 14
#endif

static char folder[64];
static rm_rng rng;

static uint32_t below(uint32_t bound)
{
    return (uint32_t)(rm_rng_uniform(&rng) * bound);
}

/* ---- models ------------------------------------------------------------------------------------------------------- */

static void write_text(const char *name, const char *text)
{
    tiny_file(folder, name, rm_slice_cstr(text), RM_SLICE_NONE, RM_SLICE_NONE);
}

static void remove_text(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static rm_model *open_model(const rm_embed__kernels *kernels)
{
    rm_model_options options = {.folder = folder, .kernels = kernels->name, .precision = kernels->precision};
    rm_model *model = NULL;
    char memory[512];
    rm_buf why = rm_buf_over(memory, sizeof(memory));
    if (rm_model_open(&options, &model, &why) != RM_OK)
        fail_msg("%.*s", (int)why.len, why.ptr);
    assert_string_equal(rm_model_kernels(model), kernels->name);
    assert_int_equal(rm_model_precision(model), kernels->precision);
    return model;
}

static rm_encoder *encoder_of(const rm_model *model)
{
    rm_encoder *encoder = NULL;
    assert_int_equal(rm_encoder_create(model, &encoder), RM_OK);
    return encoder;
}

/* Vectors of some texts, by an encoder that lives for them alone. */
static float *run_once(const rm_model *model, const uint32_t *ids, const uint32_t *lengths, size_t texts)
{
    float *vectors = malloc(texts * rm_model_shape_of(model)->hidden * sizeof(float));
    rm_encoder *encoder = encoder_of(model);
    assert_non_null(vectors);
    assert_int_equal(rm_encoder_run(encoder, ids, lengths, texts, vectors), RM_OK);
    rm_encoder_destroy(encoder);
    return vectors;
}

static double cosine(const float *a, const float *b, size_t count)
{
    double across = 0, own = 0, other = 0;
    for (size_t i = 0; i < count; i++) {
        across += (double)a[i] * (double)b[i];
        own += (double)a[i] * (double)a[i];
        other += (double)b[i] * (double)b[i];
    }
    assert_true(fabs(own - 1) < 1e-5 && fabs(other - 1) < 1e-5);
    return across / sqrt(own * other);
}

/* ---- every table of kernels against the reference ------------------------------------------------------------------ */

/* The bound of each format, between vectors of the same text. */
static double least_cosine(rm_precision precision)
{
    return precision == RM_PRECISION_FP32 ? 0.9999999 : precision == RM_PRECISION_BF16 ? 0.9999 : 0.999;
}

/* Sizes that fill vectors and sizes that do not; texts together that a turn holds, and that take several. */
static void make_lengths(uint32_t lengths[TEXTS_MAX], size_t round)
{
    static const uint32_t edges[] = {1, 2, 3, 15, 16, 17, 63, 64, 65, 255, 256, 257, 511, TOKENS_MAX};
    for (size_t i = 0; i < TEXTS_MAX; i++)
        lengths[i] = 1 + below(i % 2 ? 12 : 60);
    lengths[0] = edges[round % RM_COUNT(edges)];
    lengths[TEXTS_MAX - 1] = 1 + below(TOKENS_MAX);
}

static void check_round(const tiny_shape *shape, size_t round)
{
    uint32_t lengths[TEXTS_MAX], *ids = malloc(TEXTS_MAX * TOKENS_MAX * sizeof(*ids));
    const rm_embed__kernels *kernels;
    make_lengths(lengths, round);
    for (size_t i = 0; i < (size_t)TEXTS_MAX * TOKENS_MAX; i++)
        ids[i] = below(TINY_TOKENS);
    rm_model *plain = open_model(&rm_embed__reference);
    float *expected = run_once(plain, ids, lengths, TEXTS_MAX);
    rm_model_close(plain);
    for (unsigned k = 0; (kernels = rm_embed__kernels_here(k)); k++) {
        rm_model *model = open_model(kernels);
        float *vectors = run_once(model, ids, lengths, TEXTS_MAX);
        for (size_t i = 0; i < TEXTS_MAX; i++) {
            double near = cosine(vectors + i * shape->hidden, expected + i * shape->hidden, shape->hidden);
            if (!(near >= least_cosine(kernels->precision)))
                fail_msg("%s %s, %u layers, %u heads, %u to %u, %u tokens: cosine %.9f", kernels->name,
                         rm_precision_name(kernels->precision), shape->layers, shape->heads, shape->hidden,
                         shape->intermediate, lengths[i], near);
        }
        free(vectors);
        rm_model_close(model);
    }
    free(expected);
    free(ids);
}

static void test_random_models(void **state)
{
    static const uint32_t heads[] = {1, 2, 3}, sizes[] = {32, 16, 20, 7, 33, 24};
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        tiny_shape shape = {.layers = 1 + below(3), .heads = heads[below(RM_COUNT(heads))], .positions = TOKENS_MAX};
        shape.hidden = shape.heads * sizes[round % RM_COUNT(sizes)];
        shape.intermediate = round % 2 ? 2 * shape.hidden : 1 + below(200);
        tiny_model_write(folder, &shape, round + 1);
        write_text("1_Pooling/config.json", round % 3 ? "{\"pooling_mode\":\"mean\"}" : "{\"pooling_mode\":\"cls\"}");
        check_round(&shape, round);
        remove_text("1_Pooling/config.json");
    }
}

/* ---- texts and their neighbours ------------------------------------------------------------------------------------ */

static const tiny_shape small = {2, 2, 32, 48, TOKENS_MAX};

static void test_neighbours(void **state)
{
    uint32_t lengths[TEXTS_MAX] = {1, 300, 7, 64, 65, 200, 256, 2}, ids[900];
    const rm_embed__kernels *kernels;
    (void)state;
    tiny_model_write(folder, &small, 7);
    for (size_t i = 0; i < RM_COUNT(ids); i++)
        ids[i] = below(TINY_TOKENS);
    for (unsigned k = 0; (kernels = rm_embed__kernels_here(k)); k++) {
        rm_model *model = open_model(kernels);
        float *together = run_once(model, ids, lengths, TEXTS_MAX);
        for (size_t i = 0, at = 0; i < TEXTS_MAX; at += lengths[i++]) {
            float *alone = run_once(model, ids + at, &lengths[i], 1);
            for (size_t c = 0; c < small.hidden; c++)
                assert_true(fabsf(alone[c] - together[i * small.hidden + c]) < 1e-5F);
            free(alone);
        }
        free(together);
        rm_model_close(model);
    }
}

typedef struct worker {
    const rm_model *model;
    const uint32_t *ids;
    uint32_t length;
    float *vector;
} worker;

static void *work(void *argument)
{
    worker *self = argument;
    self->vector = run_once(self->model, self->ids, &self->length, 1);
    return NULL;
}

/* A model is shared, an encoder is one thread's. */
static void test_threads(void **state)
{
    uint32_t ids[100];
    worker workers[4];
    pthread_t threads[RM_COUNT(workers)];
    (void)state;
    tiny_model_write(folder, &small, 8);
    for (size_t i = 0; i < RM_COUNT(ids); i++)
        ids[i] = below(TINY_TOKENS);
    rm_model *model = open_model(rm_embed__kernels_here(0));
    for (size_t i = 0; i < RM_COUNT(workers); i++) {
        workers[i] = (worker){.model = model, .ids = ids, .length = RM_COUNT(ids)};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < RM_COUNT(workers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(workers[i].vector, workers[0].vector, small.hidden * sizeof(float));
    }
    for (size_t i = 0; i < RM_COUNT(workers); i++)
        free(workers[i].vector);
    rm_model_close(model);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------ */

static void check_run(rm_encoder *encoder, uint32_t length, uint32_t id, rm_status expected)
{
    uint32_t lengths[2] = {1, length}, *ids = calloc(length + 1U, sizeof(*ids));
    float vectors[2 * 32];
    assert_non_null(ids);
    memset(vectors, 0x5a, sizeof(vectors));
    ids[length] = id;
    assert_int_equal(rm_encoder_run(encoder, ids, lengths, 2, vectors), expected);
    for (size_t i = 0; i < sizeof(vectors) && expected != RM_OK; i++)
        assert_int_equal(((unsigned char *)vectors)[i], 0x5a);
    free(ids);
}

static void test_out_of_range(void **state)
{
    (void)state;
    tiny_model_write(folder, &small, 9);
    rm_model *model = open_model(rm_embed__kernels_here(0));
    rm_encoder *encoder = encoder_of(model);
    check_run(encoder, 3, TINY_TOKENS - 1, RM_OK);
    check_run(encoder, 3, TINY_TOKENS, RM_EINVAL);
    check_run(encoder, 3, UINT32_MAX, RM_EINVAL);
    check_run(encoder, 0, 0, RM_EINVAL);
    check_run(encoder, TOKENS_MAX, 0, RM_OK);
    check_run(encoder, TOKENS_MAX + 1, 0, RM_EINVAL);
    assert_int_equal(rm_encoder_run(encoder, NULL, NULL, 0, NULL), RM_OK);
    rm_encoder_destroy(encoder);
    rm_encoder_destroy(NULL);
    rm_model_close(model);
    rm_model_close(NULL);
}

/* The scratch memory's bound, for a model with more positions. */
static void test_longest_text(void **state)
{
    const tiny_shape shape = {1, 2, 32, 32, RM_EMBED_BATCH_TOKENS_MAX + 1};
    (void)state;
    tiny_model_write(folder, &shape, 10);
    rm_model *model = open_model(rm_embed__kernels_here(0));
    rm_encoder *encoder = encoder_of(model);
    assert_int_equal(rm_model_shape_of(model)->tokens_max, RM_EMBED_BATCH_TOKENS_MAX);
    check_run(encoder, RM_EMBED_BATCH_TOKENS_MAX, 1, RM_OK);
    check_run(encoder, RM_EMBED_BATCH_TOKENS_MAX + 1, 1, RM_EINVAL);
    rm_encoder_destroy(encoder);
    rm_model_close(model);
}

static void check_open_refused(const rm_model_options *options, rm_status expected, const char *mentions)
{
    rm_model *untouched = (rm_model *)(uintptr_t)1, *model = untouched;
    char memory[1024];
    rm_buf why = rm_buf_over(memory, sizeof(memory));
    assert_int_equal(rm_model_open(options, &model, &why), expected);
    assert_ptr_equal(model, untouched);
    assert_null(memchr(why.ptr, '\n', why.len));
    if (!rm_slice_find(rm_buf_slice(&why), rm_slice_cstr(mentions)))
        fail_msg("\"%.*s\" does not mention \"%s\"", (int)why.len, why.ptr, mentions);
}

static void test_open_refused(void **state)
{
    const rm_model_options plain = {.folder = folder};
    const struct {
        tiny_shape config, weights;
        rm_status status;
        const char *mentions;
    } cases[] = {
        {{2, 2, 32, 48, 16},
         {1, 2, 32, 48, 16},
         RM_EUNSUPPORTED,
         "encoder.layer.1.attention.self.query.weight is missing"},
        {{1, 2, 32, 48, 16},
         {1, 2, 32, 40, 16},
         RM_ECORRUPT,
         "encoder.layer.0.intermediate.dense.weight has another shape"},
        {{1, 2, 32, 48, 16}, {1, 2, 30, 48, 16}, RM_ECORRUPT, "word_embeddings.weight has another shape"},
        {{1, 2, 32, 48, 16}, {1, 2, 32, 48, 17}, RM_ECORRUPT, "position_embeddings.weight has another shape"},
    };
    (void)state;
    for (size_t i = 0; i < RM_COUNT(cases); i++) {
        tiny_model_write(folder, &cases[i].config, 11);
        tiny_weights(folder, &cases[i].weights, 11);
        check_open_refused(&plain, cases[i].status, cases[i].mentions);
    }
    tiny_model_write(folder, &small, 11);
    check_open_refused(&(rm_model_options){.folder = folder, .kernels = "abacus"}, RM_EINVAL, "called abacus");
    check_open_refused(&(rm_model_options){.folder = folder, .kernels = "reference", .precision = RM_PRECISION_INT8},
                       RM_EINVAL, "no kernels for precision int8 called reference");
    write_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n");
    check_open_refused(&plain, RM_ECORRUPT, "16 tokens, but config.json has a vocab_size of 15");
    remove_text("vocab.txt");
    check_open_refused(&plain, RM_ENOTFOUND, "neither tokenizer.json nor vocab.txt");
    tiny_model_write(folder, &small, 11);
    remove_text("model.safetensors");
    check_open_refused(&plain, RM_ENOTFOUND, "model.safetensors: is missing");
}

#ifdef REMORA_FAULTS
static void test_no_memory(void **state)
{
    const rm_model_options options = {.folder = folder, .kernels = "reference"};
    rm_status status = RM_ENOMEM;
    (void)state;
    tiny_model_write(folder, &small, 12);
    for (uint64_t nth = 1; status != RM_OK; nth++) {
        rm_model *model = NULL;
        rm_encoder *encoder = NULL;
        char memory[1024];
        rm_buf why = rm_buf_over(memory, sizeof(memory));
        rm_fault_set(RM_FAULT_ALLOC, nth, true);
        status = rm_model_open(&options, &model, &why);
        if (status == RM_OK)
            status = rm_encoder_create(model, &encoder);
        rm_fault_set(RM_FAULT_ALLOC, 0, false);
        assert_true(status == RM_ENOMEM || (status == RM_OK && nth > 10));
        assert_true(status == RM_OK || model || why.len > 0);
        rm_encoder_destroy(encoder);
        rm_model_close(model);
    }
}
#endif

/* ---- folder --------------------------------------------------------------------------------------------------------- */

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");
    char path[128];
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/remora-encoder-XXXXXX", parent && strlen(parent) < 32 ? parent : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    rm_rng_seed(&rng, 1);
    (void)snprintf(path, sizeof(path), "%s/1_Pooling", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/1_Pooling", folder);
    (void)rmdir(path);
    tiny_model_remove(folder);
    return access(folder, F_OK) == 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_models), cmocka_unit_test(test_neighbours),   cmocka_unit_test(test_threads),
        cmocka_unit_test(test_out_of_range),  cmocka_unit_test(test_longest_text), cmocka_unit_test(test_open_refused),
#ifdef REMORA_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
