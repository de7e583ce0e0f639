/* L0: memory, buffers, containers, hashes, log, faults. Nothing here blocks or knows of any other module.
 * Unless a function says otherwise it may be called on any thread, on data that no other thread is using. */
#ifndef REMORA_BASE_H
#define REMORA_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "remora/clock.h"
#include "remora/exec.h"
#include "remora/limits.h"
#include "remora/status.h"
#include "remora/types.h"

/* ---- assertions -------------------------------------------------------------------------------------------------- */

/* Always on: memory safety depends on it. Prints and aborts. */
#define RM_CHECK(cond) ((cond) ? (void)0 : rm_base_check_failed(#cond, __FILE__, __LINE__))
#ifdef NDEBUG
#define RM_ASSERT(cond) ((void)0)
#else
#define RM_ASSERT(cond) RM_CHECK(cond)
#endif
_Noreturn void rm_base_check_failed(const char *cond, const char *file, int line);

#define RM_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* NULL on failure (or when the fault table says so); size 0 gives a unique pointer. */
void *rm_alloc(size_t bytes) RM_WARN_UNUSED;
void *rm_calloc(size_t count, size_t bytes) RM_WARN_UNUSED; /* NULL on overflow too */
void *rm_realloc(void *ptr, size_t bytes) RM_WARN_UNUSED;   /* ptr stays valid on failure */
void rm_free(void *ptr);                                    /* NULL is fine */
/* Gives free pages back to the system, where the heap can; takes its locks for milliseconds. */
void rm_alloc_trim(void);
char *rm_strdup(const char *text) RM_WARN_UNUSED;
char *rm_slice_dup(rm_slice slice) RM_WARN_UNUSED; /* NUL-terminated copy */

/* The calling thread gives way to the loops: for what nobody waits for (the store's writer, the log). */
void rm_thread_background(void);

/* ---- injected faults --------------------------------------------------------------------------------------------- */

/* Built in with -DREMORA_FAULTS=ON only; else rm_fault() is constant false. Set by REMORA_FAULTS in the environment
 * (comma-separated NAME, NAME:N "from the Nth time on", NAME:N! "the Nth time only") or by a test. */
typedef enum rm_fault_point {
    RM_FAULT_ALLOC = 0,        /* rm_alloc and kin return NULL */
    RM_FAULT_STORE_READ,       /* store reads fail with RM_EIO */
    RM_FAULT_STORE_FULL,       /* commits meet MDB_MAP_FULL */
    RM_FAULT_STORE_QUEUE_FULL, /* the writer's queue refuses */
    RM_FAULT_STORE_SLOW,       /* each commit sleeps 2 s */
    RM_FAULT_STORE_COMMIT,     /* commits fail with RM_EIO */
    RM_FAULT_FLIGHT,           /* the table of flights cannot make one */
    RM_FAULT_LOG_WRITE,        /* the access log cannot be written */
    RM_FAULT_JSON,             /* decoding a request fails */
    RM_FAULT_LEDGER,           /* a ledger row cannot be made */
    RM_FAULT_COUNT
} rm_fault_point;

#ifdef REMORA_FAULTS
bool rm_fault(rm_fault_point point);
void rm_fault_set(rm_fault_point point, uint64_t from_nth, bool once); /* from_nth 0: off */
rm_status rm_fault_set_text(const char *text);                         /* RM_EINVAL names nothing known */
const char *rm_fault_name(rm_fault_point point);
#else
static inline bool rm_fault(rm_fault_point point)
{
    (void)point;
    return false;
}
#endif

/* ---- slices ------------------------------------------------------------------------------------------------------ */

static inline rm_slice rm_slice_make(const char *ptr, size_t len)
{
    return (rm_slice){ptr, len};
}
static inline rm_slice rm_slice_cstr(const char *text)
{
    return (rm_slice){text, text ? strlen(text) : 0};
}
/* Copies the bytes to `to`; returns the place behind them. */
static inline char *rm_slice_put(char *to, rm_slice from)
{
    if (from.ptr && from.len)
        memcpy(to, from.ptr, from.len);
    return to + from.len;
}
static inline bool rm_slice_eq(rm_slice a, rm_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/* ASCII only. */
bool rm_slice_eq_nocase(rm_slice a, rm_slice b);
bool rm_slice_has_prefix(rm_slice text, rm_slice prefix);
rm_slice rm_slice_trim(rm_slice text); /* space and tab at both ends */
/* Takes the text before the next `sep` off `*rest`; false when nothing is left. "a,,b" gives three. */
bool rm_slice_split(rm_slice *rest, char sep, rm_slice *ret_part);
/* First place of `needle`, NULL if none. */
const char *rm_slice_find(rm_slice text, rm_slice needle);

/* ---- eight bytes at once ----------------------------------------------------------------------------------------- */

/* For scans of plain text: bit 7 of each byte that is so, and perhaps of bytes behind one that is. Not zero thus means
 * "look closer". Any thread; Mycroft's test for a zero byte. */
#define RM_WORD_ONES  0x0101010101010101ULL
#define RM_WORD_HIGHS 0x8080808080808080ULL

static inline uint64_t rm_word_load(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}
static inline uint64_t rm_word_has(uint64_t word, unsigned char c)
{
    word ^= RM_WORD_ONES * c;
    return (word - RM_WORD_ONES) & ~word & RM_WORD_HIGHS;
}
/* Bytes below `limit`, at most 0x80. */
static inline uint64_t rm_word_below(uint64_t word, unsigned char limit)
{
    return (word - RM_WORD_ONES * limit) & ~word & RM_WORD_HIGHS;
}

/* ---- reading numbers and units ----------------------------------------------------------------------------------- */

rm_status rm_parse_u64(rm_slice text, uint64_t *ret_value) RM_WARN_UNUSED;  /* digits only; RM_EPARSE */
rm_status rm_parse_double(rm_slice text, double *ret_value) RM_WARN_UNUSED; /* finite decimal; RM_EPARSE */
/* "250us" "10ms" "1.5s" "10m" "24h" "7d" "2w", 0 and, where bare_seconds, "60". RM_EPARSE; overflow RM_ETOOBIG. */
rm_status rm_parse_duration_us(rm_slice text, bool bare_seconds, uint64_t *ret_us) RM_WARN_UNUSED;
rm_status rm_parse_duration_ms(rm_slice text, bool bare_seconds, uint64_t *ret_ms) RM_WARN_UNUSED; /* rounds up */
/* "4096" "64KiB" "2MiB" "2GiB" "1TiB", and KB, MB, GB (powers of ten). */
rm_status rm_parse_bytes(rm_slice text, uint64_t *ret_bytes) RM_WARN_UNUSED;

/* ---- growing buffer ---------------------------------------------------------------------------------------------- */

/* Bytes with a ceiling that is named when it is made. The first failure sticks: later appends do nothing and
 * return it too, so a run of appends may be checked once. */
struct rm_buf {
    char *ptr;
    size_t len, cap, max;
    rm_status status;
};

void rm_buf_init(rm_buf *buf, size_t bytes_max);
/* A buffer over memory of the caller's: it never grows and is not to be deinit'ed. */
static inline rm_buf rm_buf_over(char *memory, size_t bytes)
{
    return (rm_buf){.ptr = memory, .cap = bytes, .max = bytes};
}
void rm_buf_deinit(rm_buf *buf);                                        /* also fine on zeroed memory */
void rm_buf_clear(rm_buf *buf);                                         /* keeps the memory, forgets a failure */
rm_status rm_buf_reserve(rm_buf *buf, size_t more) RM_WARN_UNUSED;      /* RM_ENOMEM, RM_ETOOBIG */
rm_status rm_buf_append_slow(rm_buf *buf, const void *ptr, size_t len); /* rm_buf_append where it must grow */
static inline rm_status rm_buf_append(rm_buf *buf, const void *ptr, size_t len)
{
    if (buf->status != RM_OK || !ptr || len == 0 || len > buf->cap - buf->len)
        return rm_buf_append_slow(buf, ptr, len);
    memcpy(buf->ptr + buf->len, ptr, len);
    buf->len += len;
    return RM_OK;
}
static inline rm_status rm_buf_append_slice(rm_buf *buf, rm_slice slice)
{
    return rm_buf_append(buf, slice.ptr, slice.len);
}
static inline rm_status rm_buf_append_cstr(rm_buf *buf, const char *text)
{
    return rm_buf_append(buf, text, strlen(text));
}
static inline rm_status rm_buf_append_char(rm_buf *buf, char c)
{
    return rm_buf_append(buf, &c, 1);
}
rm_status rm_buf_append_u64(rm_buf *buf, uint64_t value);
rm_status rm_buf_append_i64(rm_buf *buf, int64_t value);
/* Money: plain decimal, up to 12 places, no trailing zeros, never an exponent: "0", "0.00045", "12.5". */
rm_status rm_buf_append_usd(rm_buf *buf, double usd);
rm_status rm_buf_appendf(rm_buf *buf, const char *format, ...) RM_PRINTF(2, 3);
/* The text as the inside of a JSON string (no quotes); bad UTF-8 becomes U+FFFD. */
rm_status rm_buf_append_json_escaped(rm_buf *buf, rm_slice text);
/* RFC 4648 section 4, padded. */
rm_status rm_buf_append_base64(rm_buf *buf, const void *ptr, size_t len);
void rm_buf_consume(rm_buf *buf, size_t len); /* drops from the front */
static inline rm_slice rm_buf_slice(const rm_buf *buf)
{
    return (rm_slice){buf->ptr, buf->len};
}

/* ---- refcounted immutable bytes ---------------------------------------------------------------------------------- */

/* Shared between threads once it is made; the last unref frees. */
struct rm_blob {
    _Atomic uint32_t refs;
    uint32_t flags; /* the maker's; fixed before it is shared */
    size_t len;
    struct rm_blob *next; /* of the one list that may hold it; guarded by that list's lock */
    uint32_t waiting;     /* ... and how many cursors stand at it */
    _Alignas(16) char data[];
};

rm_blob *rm_blob_create(size_t len) RM_WARN_UNUSED; /* uninitialised bytes, one reference; NULL: no memory */
rm_blob *rm_blob_create_copy(rm_slice slice) RM_WARN_UNUSED;
rm_blob *rm_blob_ref(rm_blob *blob);
void rm_blob_unref(rm_blob *blob); /* NULL is fine */
static inline rm_slice rm_blob_slice(const rm_blob *blob)
{
    return blob ? (rm_slice){blob->data, blob->len} : (rm_slice){NULL, 0};
}

/* ---- arena ------------------------------------------------------------------------------------------------------- */

/* Memory freed all at once, with a hard cap. A pool keeps spare first blocks; one thread a pool. */
typedef struct rm_arena_pool rm_arena_pool;
rm_arena_pool *rm_arena_pool_create(void); /* NULL: no memory */
void rm_arena_pool_destroy(rm_arena_pool *pool);

struct rm_arena {
    rm_arena_pool *pool; /* may be NULL */
    struct rm_arena_block *blocks;
    char *next, *end;
    size_t bytes, bytes_max;
};

void rm_arena_init(rm_arena *arena, rm_arena_pool *pool, size_t bytes_max);
void rm_arena_deinit(rm_arena *arena);                              /* may be initialised again */
void *rm_arena_alloc(rm_arena *arena, size_t bytes) RM_WARN_UNUSED; /* 16-aligned; NULL: no memory or over the cap */
void *rm_arena_calloc(rm_arena *arena, size_t bytes) RM_WARN_UNUSED;
/* Makes an allocation larger or smaller, in place where it is the latest one; ptr stays valid on failure. NULL ptr
 * allocates. old_bytes is what it was asked with. */
void *rm_arena_realloc(rm_arena *arena, void *ptr, size_t old_bytes, size_t new_bytes) RM_WARN_UNUSED;
/* NUL-terminated copy; {NULL,0} on failure. */
rm_slice rm_arena_dup(rm_arena *arena, rm_slice slice) RM_WARN_UNUSED;
/* {NULL,0} on failure. */
rm_slice rm_arena_printf(rm_arena *arena, const char *format, ...) RM_PRINTF(2, 3);

/* ---- intrusive list ---------------------------------------------------------------------------------------------- */

/* A ring with a head; a zeroed link is "not in a list". */
typedef struct rm_link {
    struct rm_link *prev, *next;
} rm_link;

static inline void rm_list_init(rm_link *head)
{
    head->prev = head->next = head;
}
static inline bool rm_list_empty(const rm_link *head)
{
    return head->next == head;
}
static inline bool rm_link_linked(const rm_link *link)
{
    return link->next != NULL;
}
static inline void rm_list_append(rm_link *head, rm_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}
static inline void rm_list_remove(rm_link *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* ---- hash map from key128 to pointer ----------------------------------------------------------------------------- */

typedef struct rm_map {
    struct rm_map_slot *slots;
    size_t count, used, mask;
} rm_map;

void rm_map_init(rm_map *map);
void rm_map_deinit(rm_map *map);
void *rm_map_get(const rm_map *map, rm_key128 key);                           /* NULL: none */
rm_status rm_map_put(rm_map *map, rm_key128 key, void *value) RM_WARN_UNUSED; /* value not NULL; replaces; RM_ENOMEM */
void *rm_map_remove(rm_map *map, rm_key128 key);                              /* what it was, NULL: none */
/* Walks in no order: start with *cursor 0; false at the end. Removing the current one is allowed. */
bool rm_map_next(const rm_map *map, size_t *cursor, rm_key128 *ret_key, void **ret_value);

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

static inline bool rm_key128_eq(rm_key128 a, rm_key128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}
rm_key128 rm_hash128(rm_slice bytes); /* XXH3-128, seed 0 */
uint64_t rm_hash64(rm_slice bytes);   /* XXH3-64, seed 0 */
/* 32 lower-case hexadecimal digits, and back (RM_EPARSE). `text` holds at least 33 bytes. */
void rm_key128_format(rm_key128 key, char *text);
rm_status rm_key128_parse(rm_slice text, rm_key128 *ret_key) RM_WARN_UNUSED;

#define RM_HMAC_BYTES 32
/* HMAC-SHA256 (RFC 2104). RM_EINTERNAL if the crypto library refuses. */
rm_status rm_hmac_sha256(rm_slice key, rm_slice message, uint8_t ret_mac[RM_HMAC_BYTES]) RM_WARN_UNUSED;
/* Bytes fit for secrets. RM_EINTERNAL. */
rm_status rm_random_bytes(void *ptr, size_t len) RM_WARN_UNUSED;

/* ---- diagnostic log ---------------------------------------------------------------------------------------------- */

/* One line a call on standard error: time, level, module, text. Never a prompt, key or body. Keep it off hot paths:
 * state changes and faults only; repeated ones through rm_log_limited. */
typedef enum rm_log_level { RM_LOG_ERROR = 0, RM_LOG_WARN, RM_LOG_INFO, RM_LOG_DEBUG } rm_log_level;
void rm_log_set_level(rm_log_level level);
void rm_log(rm_log_level level, const char *module, const char *format, ...) RM_PRINTF(3, 4);
/* The same at most once in 10 s a call site. */
#define rm_log_limited(level, module, ...)          \
    do {                                            \
        static _Atomic uint64_t rm_log_next_ns;     \
        if (rm_log_due(&rm_log_next_ns))            \
            rm_log((level), (module), __VA_ARGS__); \
    } while (0)
bool rm_log_due(_Atomic uint64_t *next_ns);

#endif
