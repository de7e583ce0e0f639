/* remora embed: texts on standard input, one a line, to vectors or token ids on standard output. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "app_internal.h"
#include "remora/embed.h"

#define READ_BYTES     (64 * RM_KIB)
#define LINE_BYTES_MAX (64 * RM_MIB)

typedef struct embedding {
    rm_model *model;
    rm_encoder *encoder;
    rm_overflow overflow;
    bool tokens;
    uint32_t *ids;
    float *vector;
    rm_buf out;
} embedding;

/* ---- one line ---------------------------------------------------------------------------------------------------- */

static rm_status put_vector(embedding *e, uint32_t count)
{
    rm_status status = rm_encoder_run(e->encoder, e->ids, &count, 1, e->vector);
    if (status != RM_OK)
        return status;
    for (uint32_t i = 0; i < rm_model_shape_of(e->model)->hidden; i++)
        rm_buf_appendf(&e->out, "%s%.9g", i ? ", " : "[", (double)e->vector[i]);
    return rm_buf_append_cstr(&e->out, "]\n");
}

static rm_status put_ids(embedding *e, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rm_buf_append_cstr(&e->out, i ? ", " : "[");
        rm_buf_append_u64(&e->out, e->ids[i]);
    }
    return rm_buf_append_cstr(&e->out, "]\n");
}

static bool take_line(embedding *e, rm_slice text)
{
    const rm_model_shape *shape = rm_model_shape_of(e->model);
    uint32_t count = (uint32_t)rm_tokenize(rm_model_tokenizer(e->model), text, e->overflow, e->ids, shape->tokens_max);

    rm_buf_clear(&e->out);
    rm_status status = e->tokens ? put_ids(e, count) : put_vector(e, count);
    if (status != RM_OK) {
        (void)fprintf(stderr, "remora: %s\n", rm_status_text(status));
        return false;
    }
    return fwrite(e->out.ptr, 1, e->out.len, stdout) == e->out.len;
}

/* ---- all lines --------------------------------------------------------------------------------------------------- */

/* Whole lines of `in`, whose first `seen` bytes hold no end of one; what is left stays. */
static bool take_lines(embedding *e, rm_buf *in, size_t seen)
{
    size_t begin = 0;
    const char *end;

    while ((end = memchr(in->ptr + (begin > seen ? begin : seen), '\n', in->len - (begin > seen ? begin : seen)))) {
        if (!take_line(e, rm_slice_make(in->ptr + begin, (size_t)(end - in->ptr) - begin)))
            return false;
        begin = (size_t)(end - in->ptr) + 1;
    }
    rm_buf_consume(in, begin);
    return fflush(stdout) == 0;
}

static bool take_input(embedding *e, rm_buf *in)
{
    for (;;) {
        size_t seen = in->len;
        if (rm_buf_reserve(in, READ_BYTES) != RM_OK) {
            (void)fprintf(stderr, "remora: a line of standard input is too long\n");
            return false;
        }
        ssize_t got = read(STDIN_FILENO, in->ptr + in->len, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            (void)fprintf(stderr, "remora: standard input: %s\n", strerror(errno));
            return false;
        }
        if (got == 0)
            return in->len == 0 || (take_line(e, rm_buf_slice(in)) && fflush(stdout) == 0);
        in->len += (size_t)got;
        if (!take_lines(e, in, seen))
            return false;
    }
}

static int embed_all(embedding *e)
{
    const rm_model_shape *shape = rm_model_shape_of(e->model);
    bool done = false;
    rm_buf in;

    rm_buf_init(&in, LINE_BYTES_MAX);
    rm_buf_init(&e->out, RM_MIB);
    e->ids = rm_calloc(shape->tokens_max, sizeof(*e->ids));
    e->vector = rm_calloc(shape->hidden, sizeof(*e->vector));
    if (e->ids && e->vector && rm_encoder_create(e->model, &e->encoder) == RM_OK)
        done = take_input(e, &in);
    else
        (void)fprintf(stderr, "remora: out of memory\n");
    rm_encoder_destroy(e->encoder);
    rm_free(e->vector);
    rm_free(e->ids);
    rm_buf_deinit(&e->out);
    rm_buf_deinit(&in);
    return done ? RM_APP_DONE : RM_APP_BAD;
}

int rm_app_embed(int argc, char **argv)
{
    const char *file = NULL, *name = NULL, *precision_text = NULL;
    embedding e = {0};
    const rm_app_option options[] = {
        RM_APP_CONFIG_OPTION(&file),
        {"--model", "NAME", "a fetched model or a folder (default: cache.semantic.model)", &name, NULL},
        {"--precision", "P", "auto, fp32, bf16 or int8 (default: embed.precision)", &precision_text, NULL},
        {"--tokens", NULL, "print token ids, with [CLS] and [SEP], in place of vectors", NULL, &e.tokens},
    };
    const rm_app_command command = {"remora embed [-c FILE] [--model NAME] [--precision P] [--tokens]",
                                    "Standard input, one text a line, to one JSON array a line: the text's vector.",
                                    options,
                                    RM_COUNT(options),
                                    NULL,
                                    0};
    rm_config *config;

    int code = rm_app_parse(&command, argc, argv);
    if (code != RM_APP_GO)
        return code;
    if (!rm_app_peek_config(file, &config))
        return RM_APP_BAD;
    e.overflow = config->embed.overflow == RM_LONG_TEXT_HEAD_TAIL ? RM_OVERFLOW_HEAD_TAIL : RM_OVERFLOW_HEAD;
    code = rm_app_open_model(&command, config, name, precision_text, &e.model);
    if (code == RM_APP_GO)
        code = embed_all(&e);
    rm_model_close(e.model);
    rm_config_unref(config);
    return code;
}
