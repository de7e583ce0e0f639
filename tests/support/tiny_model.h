/* A BERT of a few thousand random weights as a folder of files, for tests of what stands on an encoder. */
#ifndef REMORA_TESTS_TINY_MODEL_H
#define REMORA_TESTS_TINY_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "remora/embed.h"

typedef struct tiny_shape {
    unsigned layers, heads, hidden, intermediate, positions;
} tiny_shape;

/* One letter is one token. */
static const char tiny_vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\n##a\n##b\n##c\n##d\n##e\n";
#define TINY_TOKENS 15U

typedef struct tiny_writer {
    rm_buf header, data;
    rm_rng rng;
} tiny_writer;

static void tiny_tensor(tiny_writer *w, const char *name, unsigned rows, unsigned columns)
{
    size_t count = (size_t)rows * (columns ? columns : 1), begin = w->data.len;
    for (size_t i = 0; i < count; i++) {
        float value = (float)(rm_rng_uniform(&w->rng) - 0.5);
        rm_buf_append(&w->data, &value, sizeof(value));
    }
    rm_buf_appendf(&w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u", w->header.len ? "," : "{", name, rows);
    if (columns)
        rm_buf_appendf(&w->header, ",%u", columns);
    rm_buf_appendf(&w->header, "],\"data_offsets\":[%zu,%zu]}", begin, w->data.len);
}

static void tiny_pair(tiny_writer *w, const char *prefix, const char *name, unsigned rows, unsigned columns)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "%s%s.weight", prefix, name);
    tiny_tensor(w, text, rows, columns);
    (void)snprintf(text, sizeof(text), "%s%s.bias", prefix, name);
    tiny_tensor(w, text, rows, 0);
}

static void tiny_file(const char *folder, const char *name, rm_slice a, rm_slice b, rm_slice c)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    RM_CHECK(file && fwrite(a.ptr ? a.ptr : "", 1, a.len, file) == a.len);
    RM_CHECK(fwrite(b.ptr ? b.ptr : "", 1, b.len, file) == b.len);
    RM_CHECK(fwrite(c.ptr ? c.ptr : "", 1, c.len, file) == c.len && fclose(file) == 0);
}

static void tiny_weights(const char *folder, const tiny_shape *s, uint64_t seed)
{
    static const char *const squares[] = {"attention.self.query", "attention.self.key", "attention.self.value",
                                          "attention.output.dense"};
    tiny_writer w;
    char prefix[64];
    rm_buf_init(&w.header, RM_MIB);
    rm_buf_init(&w.data, 256 * RM_MIB);
    rm_rng_seed(&w.rng, seed);
    tiny_tensor(&w, "embeddings.word_embeddings.weight", TINY_TOKENS, s->hidden);
    tiny_tensor(&w, "embeddings.position_embeddings.weight", s->positions, s->hidden);
    tiny_tensor(&w, "embeddings.token_type_embeddings.weight", 2, s->hidden);
    tiny_pair(&w, "embeddings.", "LayerNorm", s->hidden, 0);
    for (unsigned i = 0; i < s->layers; i++) {
        (void)snprintf(prefix, sizeof(prefix), "encoder.layer.%u.", i);
        for (size_t k = 0; k < RM_COUNT(squares); k++)
            tiny_pair(&w, prefix, squares[k], s->hidden, s->hidden);
        tiny_pair(&w, prefix, "attention.output.LayerNorm", s->hidden, 0);
        tiny_pair(&w, prefix, "intermediate.dense", s->intermediate, s->hidden);
        tiny_pair(&w, prefix, "output.dense", s->hidden, s->intermediate);
        tiny_pair(&w, prefix, "output.LayerNorm", s->hidden, 0);
    }
    rm_buf_append_char(&w.header, '}');
    RM_CHECK(w.header.status == RM_OK && w.data.status == RM_OK);
    uint64_t length = w.header.len;
    tiny_file(folder, "model.safetensors", (rm_slice){(const char *)&length, sizeof(length)}, rm_buf_slice(&w.header),
              rm_buf_slice(&w.data));
    rm_buf_deinit(&w.header);
    rm_buf_deinit(&w.data);
}

/* Into `folder`, which exists. */
static void tiny_model_write(const char *folder, const tiny_shape *s, uint64_t seed)
{
    char config[512];
    int len =
        snprintf(config, sizeof(config),
                 "{\"model_type\":\"bert\",\"num_hidden_layers\":%u,\"num_attention_heads\":%u,\"hidden_size\":%u,"
                 "\"intermediate_size\":%u,\"vocab_size\":%u,\"max_position_embeddings\":%u}",
                 s->layers, s->heads, s->hidden, s->intermediate, TINY_TOKENS, s->positions);
    tiny_file(folder, "config.json", (rm_slice){config, (size_t)len}, RM_SLICE_NONE, RM_SLICE_NONE);
    tiny_file(folder, "vocab.txt", rm_slice_cstr(tiny_vocabulary), RM_SLICE_NONE, RM_SLICE_NONE);
    tiny_weights(folder, s, seed);
}

static void tiny_model_remove(const char *folder)
{
    static const char *const names[] = {"config.json", "vocab.txt", "model.safetensors"};
    char path[256];
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

#endif
