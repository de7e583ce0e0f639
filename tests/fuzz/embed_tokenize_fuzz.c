/* Any bytes as a text, with every combination of the normaliser's switches. The first byte chooses those, the second
 * how many ids there is room for. Every cut must be one of the whole text's ids, and the whole text's ids must be those
 * of its words one by one. */
#include <stdint.h>
#include <stdlib.h>

#include "tokenizer.h"

#define SWITCHES 16 /* clean, han, strip_accents, lowercase */
#define FULL_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vocabulary_lines[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n##a\n##b\n##c\nab\n##abc\nhello\n#"
                                       "#lo\nhel\n,\n.\n[\n]\n#\n\xc3\xa9\n##\xc3\xa9\n"
                                       "\xe4\xb8\xad\n\xf0\x9f\x98\x80\n##\xf0\x9f\x98\x80\n\xe1\x84\x92\n##"
                                       "\xe1\x85\xa1\n\xcf\x83\n##\xcf\x83\n\xe3\x80\xae\n"
                                       "##\xe3\x80\xae\n##\xe0\xa3\x94\n\xef\xbf\xbd\n";

static rm_tokenizer *tokenizers[SWITCHES];

static const rm_tokenizer *tokenizer_of(unsigned switches)
{
    rm_embed__vocabulary vocabulary;
    rm_buf why;
    if (tokenizers[switches])
        return tokenizers[switches];
    rm_buf_init(&why, 4096);
    RM_CHECK(rm_embed__vocabulary_from_lines(rm_slice_cstr(vocabulary_lines), "lines", RM_SLICE_NONE, "config",
                                             &vocabulary, &why) == RM_OK);
    vocabulary.rules = (rm_embed__rules){switches & 1, switches >> 1 & 1, switches >> 2 & 1, switches >> 3 & 1};
    RM_CHECK(rm_embed__tokenizer_create(&vocabulary, &tokenizers[switches]) == RM_OK);
    rm_embed__vocabulary_deinit(&vocabulary);
    rm_buf_deinit(&why);
    return tokenizers[switches];
}

static void check_cuts(const rm_tokenizer *t, rm_slice text, const uint32_t *full, size_t count, size_t ids_max)
{
    uint32_t *ids = malloc(ids_max * sizeof(*ids)); /* exactly as long, so that the sanitizer sees an overrun */
    size_t room = ids_max - 2, head = room - room / 2, kept = count - 2 < room ? count - 2 : room;
    RM_CHECK(ids != NULL);
    RM_CHECK(rm_tokenize(t, text, RM_OVERFLOW_HEAD, ids, ids_max) == kept + 2);
    RM_CHECK(memcmp(ids, full, (1 + kept) * sizeof(*ids)) == 0 && ids[1 + kept] == full[count - 1]);
    RM_CHECK(rm_tokenize(t, text, RM_OVERFLOW_HEAD_TAIL, ids, ids_max) == kept + 2);
    if (kept == count - 2)
        head = kept;
    RM_CHECK(memcmp(ids, full, (1 + head) * sizeof(*ids)) == 0);
    RM_CHECK(memcmp(ids + 1 + head, full + count - 1 - (kept - head), (kept - head + 1) * sizeof(*ids)) == 0);
    free(ids);
}

/* Split at spaces: what is between them does not know of each other. */
static void check_words(const rm_tokenizer *t, rm_slice text, const uint32_t *full, size_t count)
{
    static uint32_t ids[FULL_MAX];
    size_t at = 1;
    for (rm_slice rest = text, word; rm_slice_split(&rest, ' ', &word);) {
        size_t got = rm_tokenize(t, word, RM_OVERFLOW_HEAD, ids, FULL_MAX) - 2;
        RM_CHECK(got <= count - 1 - at && memcmp(ids + 1, full + at, got * sizeof(*ids)) == 0);
        at += got;
    }
    RM_CHECK(at == count - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t full[FULL_MAX];
    if (size < 2 || size > FULL_MAX / 8)
        return 0;
    const rm_tokenizer *t = tokenizer_of(data[0] % SWITCHES);
    rm_slice text = rm_slice_make((const char *)data + 2, size - 2);
    size_t count = rm_tokenize(t, text, RM_OVERFLOW_HEAD, full, FULL_MAX);
    RM_CHECK(count >= 2 && count < FULL_MAX);
    for (size_t i = 0; i < count; i++)
        RM_CHECK(full[i] < rm_tokenizer_count(t));
    check_cuts(t, text, full, count, 2 + data[1] % 40U);
    check_words(t, text, full, count);
    return 0;
}
