/* Any bytes as a vocabulary. The first byte says how: 'j' tokenizer.json, 'l' vocab.txt, 'c' tokenizer_config.json up to
 * a NUL and vocab.txt behind it. What is read makes a tokenizer whose ids are below its count; what is not says why. */
#include <stdint.h>

#include "tokenizer.h"

#define IDS_MAX 64
/* A tokenizer looks up 65,536 characters when it is made, hundreds of times the rest: only some of the inputs get one. */
#define TOKENIZER_EVERY 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rm_status read_bytes(char how, rm_slice text, rm_embed__vocabulary *ret_vocabulary, rm_buf *why)
{
    rm_slice config = RM_SLICE_NONE, lines = text;
    if (how == 'j')
        return rm_embed__vocabulary_from_json(text, "json", ret_vocabulary, why);
    if (how == 'c' && !rm_slice_split(&lines, '\0', &config))
        return RM_EINVAL;
    return rm_embed__vocabulary_from_lines(lines, "lines", config, "config", ret_vocabulary, why);
}

static void check_text(const rm_tokenizer *tokenizer, rm_slice text, rm_overflow overflow)
{
    uint32_t ids[IDS_MAX];
    size_t count = rm_tokenize(tokenizer, text, overflow, ids, IDS_MAX);
    RM_CHECK(count >= 2 && count <= IDS_MAX);
    for (size_t i = 0; i < count; i++)
        RM_CHECK(ids[i] < rm_tokenizer_count(tokenizer));
}

/* Each entry is found; that is, the trie has it. */
static void check_entries(const rm_embed__vocabulary *vocabulary)
{
    rm_embed__trie trie;
    RM_CHECK(rm_embed__trie_init(&trie, vocabulary->entries, vocabulary->entry_count) == RM_OK);
    for (size_t i = 0; i < vocabulary->entry_count; i++) {
        rm_slice text = vocabulary->entries[i].text, front = {text.ptr, text.len - 1};
        uint8_t last = (uint8_t)text.ptr[front.len];
        const rm_embed__node *node = &trie.nodes[rm_embed__trie_state(&trie, front) ^ last];
        RM_CHECK(rm_embed__node_is(node, last) && rm_embed__node_token(node) == vocabulary->entries[i].id);
    }
    rm_embed__trie_deinit(&trie);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_embed__vocabulary vocabulary;
    rm_tokenizer *tokenizer = NULL;
    rm_buf why;
    if (size == 0)
        return 0;
    rm_slice text = rm_slice_make((const char *)data + 1, size - 1);
    rm_buf_init(&why, 4096);
    if (read_bytes((char)data[0], text, &vocabulary, &why) == RM_OK) {
        RM_CHECK(why.len == 0);
        check_entries(&vocabulary);
        if (rm_hash64(text) % TOKENIZER_EVERY == 0) {
            RM_CHECK(rm_embed__tokenizer_create(&vocabulary, &tokenizer) == RM_OK);
            check_text(tokenizer, text, RM_OVERFLOW_HEAD);
            check_text(tokenizer, text, RM_OVERFLOW_HEAD_TAIL);
            rm_tokenizer_close(tokenizer);
        }
        rm_embed__vocabulary_deinit(&vocabulary);
    } else {
        RM_CHECK(why.len > 0);
    }
    rm_buf_deinit(&why);
    return 0;
}
