/* The encoder's arithmetic as it is written in the papers, in plain C: what every other table is compared with. */
#include <math.h>
#include <string.h>

#include "kernels.h"

static bool anywhere(void)
{
    return true;
}

static size_t packed_bytes(uint32_t in, uint32_t out)
{
    return (size_t)in * out * sizeof(float);
}

static void pack(const float *weights, uint32_t in, uint32_t out, void *packed)
{
    memcpy(packed, weights, packed_bytes(in, out));
}

static size_t no_scratch(uint32_t in)
{
    (void)in;
    return 0;
}

static float finished(float value, rm_embed__finish finish, float before)
{
    switch (finish) {
    case RM_EMBED__GELU:
        return 0.5F * value * (1 + erff(value * (float)M_SQRT1_2));
    case RM_EMBED__ADD:
        return before + value;
    case RM_EMBED__PLAIN:
        break;
    }
    return value;
}

static void dense(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish, float *y,
                  void *scratch)
{
    const float *weights = layer->packed;
    (void)scratch;
    for (size_t r = 0; r < rows; r++) {
        for (uint32_t o = 0; o < layer->out; o++) {
            double sum = layer->bias[o];
            for (uint32_t i = 0; i < layer->in; i++)
                sum += (double)x[r * layer->in + i] * weights[(size_t)o * layer->in + i];
            float *to = &y[r * layer->out + o];
            *to = finished((float)sum, finish, *to);
        }
    }
}

static size_t attention_scratch_bytes(uint32_t tokens, uint32_t head)
{
    (void)head;
    return tokens * sizeof(float);
}

static float dot(const float *a, const float *b, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (double)a[i] * b[i];
    return (float)sum;
}

/* weights[tokens] from scores, in place. */
static void softmax(float *scores, uint32_t tokens)
{
    float most = scores[0];
    double sum = 0;
    for (uint32_t t = 1; t < tokens; t++)
        most = fmaxf(most, scores[t]);
    for (uint32_t t = 0; t < tokens; t++)
        sum += scores[t] = expf(scores[t] - most);
    for (uint32_t t = 0; t < tokens; t++)
        scores[t] = (float)(scores[t] / sum);
}

static void attention(const float *qkv, uint32_t tokens, uint32_t heads, uint32_t head, float *out, void *scratch)
{
    size_t hidden = (size_t)heads * head, stride = 3 * hidden;
    float *scores = scratch;
    float scale = 1 / sqrtf((float)head);
    for (uint32_t h = 0; h < heads; h++) {
        const float *q = qkv + (size_t)h * head, *k = q + hidden, *v = k + hidden;
        for (uint32_t t = 0; t < tokens; t++) {
            for (uint32_t s = 0; s < tokens; s++)
                scores[s] = scale * dot(q + t * stride, k + s * stride, head);
            softmax(scores, tokens);
            for (uint32_t i = 0; i < head; i++) {
                double sum = 0;
                for (uint32_t s = 0; s < tokens; s++)
                    sum += (double)scores[s] * v[s * stride + i];
                out[t * hidden + (size_t)h * head + i] = (float)sum;
            }
        }
    }
}

static void norm(float *x, size_t rows, uint32_t columns, const float *gain, const float *shift, float epsilon)
{
    for (size_t r = 0; r < rows; r++, x += columns) {
        double mean = 0, variance = 0;
        for (uint32_t c = 0; c < columns; c++)
            mean += x[c];
        mean /= columns;
        for (uint32_t c = 0; c < columns; c++)
            variance += (x[c] - mean) * (x[c] - mean);
        double factor = 1 / sqrt(variance / columns + (double)epsilon);
        for (uint32_t c = 0; c < columns; c++)
            x[c] = (float)((x[c] - mean) * factor) * gain[c] + shift[c];
    }
}

const rm_embed__kernels rm_embed__reference = {
    .name = "reference",
    .precision = RM_PRECISION_FP32,
    .runs_here = anywhere,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .dense_scratch_bytes = no_scratch,
    .dense = dense,
    .attention_scratch_bytes = attention_scratch_bytes,
    .attention = attention,
    .norm = norm,
};
