/* Memory that is freed all at once.
 *
 *     arena.blocks -> [block: next|bytes|data......] -> [block] -> ...
 *                              arena.next ^   arena.end ^  (always the last standard block's free part)
 *
 * Standard blocks come from the pool's spare list and go back to it; a request that would waste much of one gets a
 * block of its own, behind which the current block goes on. `bytes` counts what was handed out, rounded up: that is
 * what the cap holds, whatever the blocks are. Under the address sanitizer all that is not handed out is poisoned and
 * a gap is kept between neighbours, so an overrun inside a block is seen too. */
#include <stdint.h>
#include <stdio.h>

#include "remora/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define GAP_BYTES          16
#define POISON(ptr, len)   ASAN_POISON_MEMORY_REGION((ptr), (len))
#define UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION((ptr), (len))
#else
#define GAP_BYTES          0
#define POISON(ptr, len)   ((void)(ptr), (void)(len))
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

#define ALIGN_BYTES 16

typedef struct rm_arena_block {
    struct rm_arena_block *next;
    size_t bytes; /* of data */
    _Alignas(ALIGN_BYTES) char data[];
} rm_arena_block;

#define STANDARD_BYTES ((size_t)RM_ARENA_BLOCK_BYTES - sizeof(rm_arena_block))
/* Larger requests do not end the current block. */
#define SHARED_BYTES_MAX (STANDARD_BYTES / 2)

struct rm_arena_pool {
    rm_arena_block *spare;
    unsigned count;
};

rm_arena_pool *rm_arena_pool_create(void)
{
    return rm_calloc(1, sizeof(rm_arena_pool));
}

static void free_block(rm_arena_block *block)
{
    UNPOISON(block->data, block->bytes);
    rm_free(block);
}

void rm_arena_pool_destroy(rm_arena_pool *pool)
{
    if (!pool)
        return;
    while (pool->spare) {
        rm_arena_block *block = pool->spare;
        pool->spare = block->next;
        free_block(block);
    }
    rm_free(pool);
}

static rm_arena_block *take_block(rm_arena_pool *pool, size_t bytes)
{
    rm_arena_block *block;
    if (pool && pool->spare && bytes == STANDARD_BYTES) {
        block = pool->spare;
        pool->spare = block->next;
        pool->count--;
        return block;
    }
    block = rm_alloc(sizeof(*block) + bytes);
    if (!block)
        return NULL;
    block->bytes = bytes;
    POISON(block->data, bytes);
    return block;
}

static void give_block(rm_arena_pool *pool, rm_arena_block *block)
{
    if (!pool || block->bytes != STANDARD_BYTES || pool->count >= RM_ARENA_POOL_BLOCKS_MAX) {
        free_block(block);
        return;
    }
    POISON(block->data, block->bytes);
    block->next = pool->spare;
    pool->spare = block;
    pool->count++;
}

void rm_arena_init(rm_arena *arena, rm_arena_pool *pool, size_t bytes_max)
{
    *arena = (rm_arena){.pool = pool, .bytes_max = bytes_max};
}

void rm_arena_deinit(rm_arena *arena)
{
    rm_arena_block *block = arena->blocks;
    while (block) {
        rm_arena_block *next = block->next;
        give_block(arena->pool, block);
        block = next;
    }
    *arena = (rm_arena){0};
}

static void *alloc_own_block(rm_arena *arena, size_t bytes)
{
    rm_arena_block *block = take_block(NULL, bytes + GAP_BYTES);
    if (!block)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->bytes += bytes;
    return block->data;
}

static bool begin_block(rm_arena *arena)
{
    rm_arena_block *block = take_block(arena->pool, STANDARD_BYTES);
    if (!block)
        return false;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->next = block->data;
    arena->end = block->data + block->bytes;
    return true;
}

/* SIZE_MAX, which no cap allows, where it would overflow. */
static inline size_t round_up(size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN_BYTES - GAP_BYTES)
        return SIZE_MAX;
    return (bytes + (bytes == 0) + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
}

void *rm_arena_alloc(rm_arena *arena, size_t bytes)
{
    size_t asked = bytes;
    bytes = round_up(asked);
    if (bytes == SIZE_MAX || bytes > arena->bytes_max - arena->bytes)
        return NULL;
    char *ptr;
    if (bytes + GAP_BYTES > (size_t)(arena->end - arena->next) && bytes > SHARED_BYTES_MAX) {
        ptr = alloc_own_block(arena, bytes);
        if (ptr)
            UNPOISON(ptr, asked);
        return ptr;
    }
    if (bytes + GAP_BYTES > (size_t)(arena->end - arena->next) && !begin_block(arena))
        return NULL;
    ptr = arena->next;
    arena->next += bytes + GAP_BYTES;
    arena->bytes += bytes;
    UNPOISON(ptr, asked);
    return ptr;
}

void *rm_arena_calloc(rm_arena *arena, size_t bytes)
{
    void *ptr = rm_arena_alloc(arena, bytes);
    if (ptr)
        memset(ptr, 0, bytes);
    return ptr;
}

/* The newest block is this allocation alone: the heap moves it, which for large ones is a remapping and no copy. */
static void *resize_own_block(rm_arena *arena, size_t asked)
{
    rm_arena_block *old = arena->blocks;
    size_t bytes = round_up(asked), old_bytes = old->bytes - GAP_BYTES;
    UNPOISON(old->data, old->bytes);
    rm_arena_block *block = rm_realloc(old, sizeof(*block) + bytes + GAP_BYTES);
    if (!block) {
        POISON(old->data + old_bytes, GAP_BYTES);
        return NULL;
    }
    block->bytes = bytes + GAP_BYTES;
    POISON(block->data + asked, block->bytes - asked);
    arena->blocks = block;
    arena->bytes = arena->bytes - old_bytes + bytes;
    return block->data;
}

void *rm_arena_realloc(rm_arena *arena, void *ptr, size_t old_bytes, size_t new_bytes)
{
    if (!ptr)
        return rm_arena_alloc(arena, new_bytes);
    size_t held_bytes = round_up(old_bytes), bytes = round_up(new_bytes);
    if (bytes == SIZE_MAX || (bytes > held_bytes && bytes - held_bytes > arena->bytes_max - arena->bytes))
        return NULL;
    rm_arena_block *newest = arena->blocks;
    if (ptr == newest->data && arena->end != newest->data + newest->bytes)
        return resize_own_block(arena, new_bytes);
    char *end = (char *)ptr + held_bytes + GAP_BYTES;
    if (end == arena->next && bytes + GAP_BYTES <= (size_t)(arena->end - (char *)ptr)) {
        arena->next = (char *)ptr + bytes + GAP_BYTES;
        arena->bytes = arena->bytes - held_bytes + bytes;
        POISON(ptr, (size_t)(arena->end - (char *)ptr));
        UNPOISON(ptr, new_bytes);
        return ptr;
    }
    void *moved = rm_arena_alloc(arena, new_bytes);
    if (moved)
        memcpy(moved, ptr, old_bytes < new_bytes ? old_bytes : new_bytes);
    return moved;
}

rm_slice rm_arena_dup(rm_arena *arena, rm_slice slice)
{
    if (slice.len == SIZE_MAX)
        return RM_SLICE_NONE;
    char *copy = rm_arena_alloc(arena, slice.len + 1);
    if (!copy)
        return RM_SLICE_NONE;
    if (slice.len)
        memcpy(copy, slice.ptr, slice.len);
    copy[slice.len] = '\0';
    return rm_slice_make(copy, slice.len);
}

rm_slice rm_arena_printf(rm_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return RM_SLICE_NONE;
    char *text = rm_arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return RM_SLICE_NONE;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return rm_slice_make(text, (size_t)len);
}
