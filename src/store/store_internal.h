/* The store's insides. One process writes (it holds `lock`), others may look.
 *
 *     folder/lock        flock of the writing process
 *     folder/secret      rm_store_secret
 *     folder/cache/      LMDB; thrown away when damaged. `damaged` in it: set it aside at the next start
 *         records        key, 16 bytes -> record.h
 *         annexes        id, 8 bytes -> seal.h
 *         links          record's key -> id of its annex
 *         annex_notes    id -> seal.h: the note {id, 0}
 *         notes          name, 16 bytes -> seal.h: the others
 *         small, main    sequence, 8 bytes -> rm_store__entry: S3-FIFO's queues (evict.h), oldest first
 *         meta           "state" -> rm_store__state
 *     folder/journal/    LMDB; synced at each commit
 *         ledger         hour (big-endian), hash of tenant, model and reason -> rm_store__ledger_value
 *
 * A queue entry is alive when the record of its key has its birth. A record that is replaced or deleted leaves a dead
 * entry, which costs 50 bytes until it reaches its queue's head or the sweep finds it; so no record has to know where
 * in a queue it stands, and moving between queues never rewrites a record. Every record has one live entry.
 *
 * A cache of before there were annexes lacks their four databases and the state's last_annex: who writes makes them when
 * it opens, who only looks goes without.
 *
 * Threads: callers append to the queue of operations under `lock`; the writer thread alone begins write transactions;
 * readers and statistics only read. */
#ifndef REMORA_STORE_INTERNAL_H
#define REMORA_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <setjmp.h>

#include "evict.h"
#include "record.h"
#include "remora/store.h"
#include "seal.h"

#define RM_STORE__FORMAT              0x726d7331u  /* "rms1"; differs by byte order */
#define RM_STORE__BYTES_MIN           (4 * RM_MIB) /* a smaller bytes_max is raised to this */
#define RM_STORE__SLACK_SHARE         8            /* of bytes_max kept free: copies on write, pages not yet reusable */
#define RM_STORE__SLACK_BYTES_MAX     (256 * RM_MIB)
#define RM_STORE__ENTRY_BYTES_TYPICAL 1024 /* sizes the counters of use */
#define RM_STORE__JOURNAL_BYTES_MAX   (256 * RM_MIB)
#define RM_STORE__GENERATIONS         4          /* transactions whose pages are not free yet, or being written */
#define RM_STORE__PAGES_PER_OP        3          /* that a write, with the eviction it causes, copies; */
#define RM_STORE__PAGES_PER_OP_ANNEX  6          /* and where records have annexes */
#define RM_STORE__GATHER_NS           5000000ULL /* least time between commits, so that writes share them; */
#define RM_STORE__GATHER_OP_NS        250000ULL  /* and this for each write of the last one, up to: */
#define RM_STORE__GATHER_NS_MAX       50000000ULL
#define RM_STORE__SWEEP_NS            1000000000ULL
#define RM_STORE__SWEEP_ENTRIES       512 /* looked at in one sweep; while many are dead: */
#define RM_STORE__SWEEP_ENTRIES_MANY  4096
#define RM_STORE__PURGE_ENTRIES       1024 /* looked at in one transaction */
#define RM_STORE__EVICT_STEPS_PER_OP  4    /* heads looked at in one transaction, for each write it may do */
#define RM_STORE__LEDGER_PRUNE_ROWS   4096 /* oldest rows that make room when the journal is full */

/* ---- what lies in the databases -----------------------------------------------------------------------------------
 */

typedef struct rm_store__entry {
    rm_key128 key;
    uint64_t birth;
    uint32_t kept_until_s; /* Unix; 0: never ends */
    uint32_t charge;       /* what the record, without an annex, counts for in its queue */
} rm_store__entry;

typedef struct rm_store__state {
    uint32_t format, reserved;
    uint64_t next_sequence;                      /* of queue entries, and next birth */
    uint64_t queue_bytes[RM_STORE__QUEUE_COUNT]; /* charges, dead entries too */
    uint64_t last_annex;                         /* the highest id there ever was; not in an older cache */
} rm_store__state;

/* ---- environments ---------------------------------------------------------------------------------------------------
 */

typedef struct rm_store__env {
    MDB_env *env; /* NULL: there is none (read-only, nothing there; or it could not be opened) */
    char *path;
    size_t page_bytes;
    uint64_t map_bytes;
} rm_store__env;

/* One place for LMDB's and the system's codes. */
rm_status rm_store__status_of(int rc);
/* RM_ECORRUPT: what lies there cannot be used. RM_ENOTFOUND: read_only and there is none. RM_EIO, RM_ENOMEM. */
rm_status rm_store__env_open(rm_store__env *env, const char *path, uint64_t map_bytes, unsigned dbs,
                             bool read_only) RM_WARN_UNUSED;
/* Room for more pages than the file has. Nothing else may use the environment meanwhile. RM_EIO. */
rm_status rm_store__env_grow(rm_store__env *env, uint64_t more_bytes) RM_WARN_UNUSED;
/* The folder and those above it, 0700 where they are made. -1: errno says why. */
int rm_store__make_folder(const char *path);
void rm_store__env_close(rm_store__env *env);
/* Renames `path` to `path`.damaged-<time>; of earlier ones only the newest is kept if `keep_one`. RM_EIO. */
rm_status rm_store__env_set_aside(const char *path, uint64_t wall_ms, bool keep_one) RM_WARN_UNUSED;
/* So that the next start sets it aside. */
void rm_store__env_mark_damaged(const rm_store__env *env);
uint64_t rm_store__env_file_bytes(const rm_store__env *env);

/* LMDB answers some damage with an assertion, which ends in abort() unless its handler leaves by longjmp. While
 * rm_store__guard points at a jump buffer, this thread lands there; the environment must not be used again. */
extern _Thread_local jmp_buf *rm_store__guard;
/* What the guard covers only reads: a memory fault may leave by it, too. */
extern _Thread_local bool rm_store__reading;
typedef rm_status (*rm_store__read_fn)(void *user);
/* Runs what only reads under a guard of its own; RM_EPARSE, too, if it left by the guard. Nothing may be held that would be
 * lost then. */
rm_status rm_store__read_guarded(rm_store__read_fn read, void *user) RM_WARN_UNUSED;
/* See crash.c. */
void rm_store__crash_watch(const rm_store__env *env, bool read_only);

/* ---- operations -------------------------------------------------------------------------------------------------- */

typedef enum rm_store__kind {
    RM_STORE__PUT = 0,
    RM_STORE__DELETE,
    RM_STORE__DELETE_CORRUPT,
    RM_STORE__ANNEX,
    RM_STORE__ANNEX_CORRUPT,
    RM_STORE__NOTES,
    RM_STORE__LEDGER, /* from here on not the cache's */
    RM_STORE__PURGE,  /* from here on somebody waits */
    RM_STORE__FLUSH,
    RM_STORE__SWEEP
} rm_store__kind;

/* On the stack of who waits; guarded by the store's lock. */
typedef struct rm_store__wait {
    rm_store_filter filter;
    bool done;
    rm_status status;
    uint64_t count;
} rm_store__wait;

typedef struct rm_store__op {
    struct rm_store__op *next;
    rm_store__kind kind;
    rm_status status;
    _Atomic uint32_t more_refs; /* readers that hold it, beside the queue */
    uint32_t writes;            /* how many it counts for in a commit */
    size_t bytes;               /* of data */
    rm_key128 key;              /* of the record; {.lo = id} of an annex */
    rm_store__wait *wait;
    char data[]; /* PUT: record image; ANNEX: sealed; NOTES: each sealed, behind its size; LEDGER: rows */
} rm_store__op;

/* Every row of what is counted; relaxed atomics. */
#define RM_STORE__COUNT_MAP(X) \
    X(entries)                 \
    X(bytes)                   \
    X(puts)                    \
    X(evicted)                 \
    X(expired)                 \
    X(dropped_queue_full)      \
    X(dropped_map_full)        \
    X(commit_errors) X(read_errors) X(corrupt) X(compressed_in_bytes) X(compressed_out_bytes) X(commits)
typedef struct rm_store__counts {
#define X(name) _Atomic uint64_t name;
    RM_STORE__COUNT_MAP(X)
#undef X
} rm_store__counts;

static inline void rm_store__count(_Atomic uint64_t *count, uint64_t by)
{
    atomic_fetch_add_explicit(count, by, memory_order_relaxed);
}

/* What the write transaction under way will have changed if it commits. */
typedef struct rm_store__tally {
    uint64_t puts, evicted, expired, packed_in, packed_out;
    uint64_t entries, bytes; /* in all, when it commits */
} rm_store__tally;

/* pending.c: queued records, or annexes, by their key. */
#define RM_STORE__PENDING_SHARDS 16u
typedef struct rm_store__pending_shard {
    pthread_mutex_t lock;
    rm_map map; /* to rm_store__op; guarded by lock */
} rm_store__pending_shard;

typedef struct rm_store__pending {
    rm_store__pending_shard shards[RM_STORE__PENDING_SHARDS];
    _Atomic uint64_t count;
} rm_store__pending;

struct rm_store {
    /* fixed at open */
    char *folder;
    const rm_clock *clock;
    bool read_only, compress;
    uint64_t bytes_max;                      /* the map's size: LMDB cannot make the file longer */
    uint64_t bytes_goal;                     /* eviction keeps the pages in use below */
    uint64_t batch_bytes_max;                /* of one transaction, so that its copied pages find room in the slack */
    uint64_t batch_ops_max, annexed_ops_max; /* the same; see rm_store__ops_max */
    uint64_t last_annex;                     /* as it was stored then */
    int lock_fd;
    rm_store__env cache, journal;
    MDB_dbi records, queues[RM_STORE__QUEUE_COUNT], meta, ledger;
    bool has_annexes; /* the next four are there */
    MDB_dbi annexes, links, annex_notes, notes;
    pthread_t writer;
    bool writer_runs;

    /* any thread */
    rm_store__policy policy;
    rm_store__counts counts;
    _Atomic bool failed;
    _Atomic unsigned readers;
    rm_store__pending pending_records, pending_annexes;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    rm_store__op *first, **last;
    size_t queue_ops, queue_bytes;
    bool urgent, stop;

    /* writer thread only */
    rm_store__op *batch;
    rm_store__state state;
    rm_store__tally tally;
    rm_store__packer packer;
    uint64_t commit_due_ns, swept_ns; /* no sooner than the first, unless many wait or somebody asks */
    bool evict_more;
    struct {
        rm_store__wait *wait; /* NULL: none under way */
        bool started;
        rm_key128 last; /* looked at, once started */
        uint64_t births_below;
    } purge;
    struct {
        rm_store__queue queue;
        uint64_t next;
    } sweep;
};

struct rm_store_reader {
    rm_store *store;
    MDB_txn *txn;
    bool held;             /* a record or an annex is out */
    rm_store__op *held_op; /* ... and lies in a queued operation */
    rm_store__packer packer;
};

/* ---- between the files ------------------------------------------------------------------------------------------- */

/* The cache environment is beyond use: logs once, marks it, and from now on everything misses. */
void rm_store__fail(rm_store *store, const char *where, rm_status status);

/* One write transaction over the cache: steps until one fails, then commit or abort; the tally and state follow. */
typedef rm_status (*rm_store__step_fn)(rm_store *store, MDB_txn *txn, void *user);
rm_status rm_store__transact(rm_store *store, rm_store__step_fn step, void *user) RM_WARN_UNUSED;
/* Entries and bytes in use as the transaction sees them. */
void rm_store__measure(const rm_store *store, MDB_txn *txn, uint64_t *ret_entries, uint64_t *ret_bytes);
uint64_t rm_store__used_bytes(const rm_store *store, MDB_txn *txn);

/* Writes of one transaction. Writer only. */
static inline uint64_t rm_store__ops_max(const rm_store *store)
{
    return store->state.last_annex ? store->annexed_ops_max : store->batch_ops_max;
}

rm_status rm_store__apply_put(rm_store *store, MDB_txn *txn, rm_store__op *op) RM_WARN_UNUSED;
rm_status rm_store__apply_delete(rm_store *store, MDB_txn *txn, const rm_store__op *op) RM_WARN_UNUSED;
rm_status rm_store__apply_annex(rm_store *store, MDB_txn *txn, const rm_store__op *op) RM_WARN_UNUSED;
rm_status rm_store__apply_corrupt_annex(rm_store *store, MDB_txn *txn, const rm_store__op *op) RM_WARN_UNUSED;
rm_status rm_store__apply_notes(rm_store *store, MDB_txn *txn, const rm_store__op *op) RM_WARN_UNUSED;
/* With its annex and that one's note. RM_OK also if it is not there. Nothing else deletes a record, but a purge of all. */
rm_status rm_store__delete_record(rm_store *store, MDB_txn *txn, rm_key128 record) RM_WARN_UNUSED;
rm_status rm_store__delete_annex_of(rm_store *store, MDB_txn *txn, rm_key128 record) RM_WARN_UNUSED;
/* Evicts until no more than `goal` bytes are in use, or the steps are spent (*ret_more). */
rm_status rm_store__evict_to(rm_store *store, MDB_txn *txn, uint64_t goal, bool *ret_more) RM_WARN_UNUSED;
rm_status rm_store__sweep_some(rm_store *store) RM_WARN_UNUSED;
/* *ret_done: the whole of it is through. */
rm_status rm_store__purge_some(rm_store *store, bool *ret_done) RM_WARN_UNUSED;
rm_status rm_store__ledger_apply(rm_store *store, const rm_store__op *op) RM_WARN_UNUSED;

void rm_store__pending_init(rm_store__pending *pending);
void rm_store__pending_deinit(rm_store__pending *pending);
void rm_store__pending_add(rm_store__pending *pending, rm_store__op *op);
/* only: not if another operation has taken its place; NULL: whatever is there. */
void rm_store__pending_remove(rm_store__pending *pending, rm_key128 key, const rm_store__op *only);
/* With a reference for the caller; NULL: none. */
rm_store__op *rm_store__pending_get(rm_store__pending *pending, rm_key128 key);
void rm_store__op_unref(rm_store__op *op);

void *rm_store__writer_main(void *user);
rm_status rm_store__post(rm_store *store, rm_store__op *op) RM_WARN_UNUSED;
/* What was found damaged is counted and shall go, everything else goes on; `kind` deletes it, if it still is damaged. */
void rm_store__drop_corrupt(rm_store *store, rm_store__kind kind, rm_key128 key);
/* Posts an operation and waits until the writer has done it. */
rm_status rm_store__post_and_wait(rm_store *store, rm_store__kind kind, rm_store__wait *wait) RM_WARN_UNUSED;
/* For tests: one sweep now. */
rm_status rm_store__sweep_now(rm_store *store) RM_WARN_UNUSED;

#endif
