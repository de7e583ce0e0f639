/* The vocabulary's entries as a double array (Aoe 1989; the exclusive-or form of Yata's darts-clone): one load and one
 * comparison a byte. It is built depth first from the sorted entries; a place for children is sought in the newest
 * blocks of 256 nodes only, so that building takes linear time. */
#include "tokenizer.h"

#define BLOCK_NODES     256
#define BLOCK_WORDS     (BLOCK_NODES / 64)
#define OPEN_BLOCKS_MAX 16
#define EMPTY           (RM_EMBED__TOKEN_NONE << RM_EMBED__LABEL_BITS)

typedef struct range {
    size_t begin, end; /* of the entries below the state */
    size_t slot;       /* its node */
    size_t depth;      /* bytes that they have in common */
} range;

typedef struct builder {
    rm_embed__trie *trie;
    const rm_embed__entry *entries;
    size_t capacity;       /* of nodes, whole blocks */
    uint64_t *free, *base; /* a bit a node: it is free; it may still be a base */
    range *stack;          /* ranges that do not overlap, so never more than entries */
    size_t stacked;
} builder;

static inline bool bit_of(const uint64_t *bits, size_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static inline void clear_bit(uint64_t *bits, size_t at)
{
    bits[at / 64] &= ~(1ULL << (at % 64));
}

static rm_status grow(builder *b)
{
    size_t capacity = b->capacity + b->capacity / BLOCK_NODES / 2 * BLOCK_NODES + 64 * (size_t)BLOCK_NODES;
    rm_embed__node *nodes = rm_realloc(b->trie->nodes, capacity * sizeof(*nodes));
    if (!nodes)
        return RM_ENOMEM;
    b->trie->nodes = nodes;
    uint64_t *bits = rm_realloc(b->free, capacity / 8);
    if (!bits)
        return RM_ENOMEM;
    b->free = bits;
    bits = rm_realloc(b->base, capacity / 8);
    if (!bits)
        return RM_ENOMEM;
    b->base = bits;
    b->capacity = capacity;
    return RM_OK;
}

static rm_status add_block(builder *b)
{
    rm_embed__trie *trie = b->trie;
    if (trie->count == b->capacity && grow(b) != RM_OK)
        return RM_ENOMEM;
    for (size_t i = 0; i < BLOCK_NODES; i++)
        trie->nodes[trie->count + i] = (rm_embed__node){0, EMPTY | RM_EMBED__LABEL_NONE};
    memset(b->free + trie->count / 64, 0xff, BLOCK_NODES / 8);
    memset(b->base + trie->count / 64, 0xff, BLOCK_NODES / 8);
    trie->count += BLOCK_NODES;
    return RM_OK;
}

static bool fits(const builder *b, size_t base, const uint8_t *labels, size_t count)
{
    if (!bit_of(b->base, base))
        return false;
    for (size_t i = 1; i < count; i++) {
        if (!bit_of(b->free, base ^ labels[i]))
            return false;
    }
    return true;
}

/* A base for children of these labels: its first child comes to a free node. */
static rm_status find_base(builder *b, const uint8_t *labels, size_t count, size_t *ret_base)
{
    size_t blocks = b->trie->count / BLOCK_NODES;
    size_t block = blocks > OPEN_BLOCKS_MAX ? blocks - OPEN_BLOCKS_MAX : 1; /* nothing lies in block 0 */
    for (size_t word = block * BLOCK_WORDS; word < blocks * BLOCK_WORDS; word++) {
        for (uint64_t left = b->free[word]; left; left &= left - 1) {
            size_t base = (word * 64 + (size_t)__builtin_ctzll(left)) ^ labels[0];
            if (fits(b, base, labels, count)) {
                *ret_base = base;
                return RM_OK;
            }
        }
    }
    size_t fresh = b->trie->count;
    if (add_block(b) != RM_OK)
        return RM_ENOMEM;
    *ret_base = fresh ^ labels[0];
    return RM_OK;
}

/* The ranges of the children, on top of the stack; their slots are not known yet. */
static size_t push_children(builder *b, const range *of, uint8_t labels[256])
{
    size_t count = 0;
    for (size_t i = of->begin; i < of->end; i++) {
        uint8_t byte = (uint8_t)b->entries[i].text.ptr[of->depth];
        if (count == 0 || labels[count - 1] != byte) {
            labels[count++] = byte;
            b->stack[b->stacked++] = (range){.begin = i, .depth = of->depth + 1};
        }
        b->stack[b->stacked - 1].end = i + 1;
    }
    return count;
}

static rm_status build_state(builder *b)
{
    range of = b->stack[--b->stacked];
    uint8_t labels[256] = {0};
    size_t base;
    rm_embed__node *nodes = b->trie->nodes;
    if (b->entries[of.begin].text.len == of.depth) {
        uint32_t label = nodes[of.slot].token_or_label & RM_EMBED__LABEL_MASK;
        nodes[of.slot].token_or_label = b->entries[of.begin].id << RM_EMBED__LABEL_BITS | label;
        of.begin++;
    }
    if (of.begin == of.end)
        return RM_OK;
    size_t count = push_children(b, &of, labels);
    if (find_base(b, labels, count, &base) != RM_OK)
        return RM_ENOMEM;
    nodes = b->trie->nodes;
    nodes[of.slot].base = (uint32_t)base;
    clear_bit(b->base, base);
    for (size_t i = 0; i < count; i++) {
        size_t slot = base ^ labels[i];
        nodes[slot].token_or_label = EMPTY | labels[i];
        clear_bit(b->free, slot);
        b->stack[b->stacked - count + i].slot = slot;
    }
    return RM_OK;
}

rm_status rm_embed__trie_init(rm_embed__trie *trie, const rm_embed__entry *entries, size_t count)
{
    builder b = {.trie = trie, .entries = entries};
    *trie = (rm_embed__trie){0};
    b.stack = rm_alloc((count + 1) * sizeof(*b.stack));
    rm_status status = b.stack ? add_block(&b) : RM_ENOMEM; /* block 0, and its node 0 is the root's */
    if (status == RM_OK && count)
        b.stack[b.stacked++] = (range){.end = count};
    while (status == RM_OK && b.stacked)
        status = build_state(&b);
    if (status == RM_OK) {
        rm_embed__node *nodes = rm_realloc(trie->nodes, trie->count * sizeof(*nodes));
        trie->nodes = nodes ? nodes : trie->nodes; /* the larger one will do too */
        trie->root = trie->nodes[0].base;
    } else {
        rm_embed__trie_deinit(trie);
    }
    rm_free(b.stack);
    rm_free(b.free);
    rm_free(b.base);
    return status;
}

void rm_embed__trie_deinit(rm_embed__trie *trie)
{
    rm_free(trie->nodes);
    *trie = (rm_embed__trie){0};
}

uint32_t rm_embed__trie_state(const rm_embed__trie *trie, rm_slice text)
{
    uint32_t state = trie->root;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        const rm_embed__node *node = &trie->nodes[state ^ byte];
        if (!rm_embed__node_is(node, byte))
            return 0;
        state = node->base;
    }
    return state;
}
